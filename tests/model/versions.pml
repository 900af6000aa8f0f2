/* SharedMemoryVersions (src/publish/versions.ts, publication.ts, header_words.ts) and src/segment/parts.ts.
 *
 * /dev/shm as a small file system: NAME leads to a publication (a segment with the words ID and NEWEST, and a flock)
 * or to none; the name of a part leads to a file that a writer made, and has filled or not. Publication 1 is removed
 * and publication 2 is made under its name. WRITERS attach by name and publish PUBS versions each, a reader reads,
 * REMOVERS remove, and a pruner removes what is dead. One statement is one system call or one access to memory.
 *
 *   -DKILLS=n     how many writers or removers are killed, each at any step; writers are replaced
 *   -DREADERS=0   nobody reads
 *   -DATTACHED=1  remover 1 is attached to publication 1: it must not take the name of publication 2
 *   -DPRUNE=1     somebody prunes meanwhile; what is left at the end is pruned, too
 *   -DCHECK=c     what to look for, added up; everything by default
 *   -DWITHOUT=m   which of the steps below are taken out, added up; OLD is the code of commit 7157ce8
 */
#define READER    1  /* a reader is given what is not filled, or another publication's */
#define WRITER    2  /* a writer takes a current version of another, living publication away */
#define REMOVER   4  /* a remover does */
#define LEFT      8  /* a part is left when everything is removed */
#define TOLD     16  /* a reader is told "removed" by a publication that is not removed */
#define PRUNER   32  /* a pruner takes a current version of a living publication away */
#define NAMES    64  /* one that is attached to publication 1 takes the name of publication 2 away */

#define IDS           1  /* the names of parts bear the ID of their publication, and only those of the own ID are touched */
#define NAMED_FIRST   2  /* a writer looks at NAME before it claims, sweeps and makes */
#define RENAME        4  /* a remover gives NAME another name first, and opens, reads and removes that */
#define PARTS_FIRST   8  /* a pruner lists the parts before it reads the ID in NAME */
#define GIVE_BACK    16  /* an attached remover that has renamed another publication gives it its name back */
#define NAMED_AFTER  32  /* a writer looks at NAME again after it made a part */
#define LIST_LAST    64  /* a remover lists the parts after the name is gone */
#define NEWEST_LAST 128  /* a writer stores NEWEST after the part is filled */
#define OLD          31
#ifndef WITHOUT
#define WITHOUT 0
#endif
#define HAS(step) (!((WITHOUT) & (step)))
#ifndef CHECK
#define CHECK 127
#endif
#define CHECKS(what) ((CHECK) & (what))
#ifndef WRITERS
#define WRITERS 1
#endif
#ifndef REMOVERS
#define REMOVERS 1
#endif
#ifndef READERS
#define READERS 1
#endif
#ifndef KILLS
#define KILLS 0
#endif
#ifndef PUBS
#define PUBS 2
#endif
#ifndef ATTACHED
#define ATTACHED 0
#endif
#ifndef PRUNE
#define PRUNE 0
#endif
#define END (PUBS * 2 + 3)                                             /* numbers of versions are less */
#define AT(g, v) ((HAS(IDS) -> g * END : 0) + (v))
#define SKIP(k, condition) do :: k < END && (condition) -> k++ :: else -> break od
#define IS_PART(g, v) (v > 0 && part[AT(g, v)].id)
#define IS_LIVING(g) (HAS(RENAME) -> NAME == g : linked[g])

byte NAME = 1;                                         /* which publication it leads to; 0 is none */
byte NEWEST[3]; bool linked[3]; byte owner[3];         /* of each: the word, whether it has a name, who has the flock */
typedef file { byte id, number, maker; bool filled }   /* id 0: no file; maker: who may fill it still */
file part[3 * END];
byte busy; bool dead[4];                               /* writers are 1 and 2, removers 0 and 3 */

inline rm(g, v, actor) {                                                               /* unlink(partName) */
  d_step {
    if
    :: IS_PART(g, v) ->
       assert(!CHECKS(actor) || (part[AT(g, v)].id == g && actor != PRUNER) || !IS_LIVING(part[AT(g, v)].id) ||
              part[AT(g, v)].number != NEWEST[part[AT(g, v)].id]);
       part[AT(g, v)].id = 0; part[AT(g, v)].filled = 0; part[AT(g, v)].maker = 0; part[AT(g, v)].number = 0
    :: else
    fi
  }
}
inline make(g, v) {                                                                    /* O_CREAT | O_EXCL */
  d_step {
    isMade = !part[AT(g, v)].id;
    if
    :: isMade -> part[AT(g, v)].id = g; part[AT(g, v)].number = v; part[AT(g, v)].maker = me
    :: else
    fi
  }
}
inline discard(g, v) { if :: IS_PART(g, v) && part[AT(g, v)].maker == me -> rm(g, v, WRITER) :: else fi }
inline fill(g, v) { d_step { if :: part[AT(g, v)].maker == me -> part[AT(g, v)].filled = 1 :: else fi } }

proctype writer(byte me) {
  byte g, v, k, count; bool isMade;
again:
  {
    g = NAME;                                                                          /* load() */
    if
    :: g == 0 || (HAS(NAMED_FIRST) && !linked[g])
    :: else ->
       d_step { isMade = (owner[g] == 0); if :: isMade -> owner[g] = me :: else fi };  /* claim(), or Busy */
       if
       :: isMade && HAS(IDS) ->                                                        /* sweepParts() */
          v = NEWEST[g];
          k = 1;
          do
          :: atomic { k < END -> SKIP(k, k == v || !IS_PART(g, k));
                      if :: k < END -> rm(g, k, WRITER); k++ :: else fi }
          :: k == END -> break
          od;
          k = 0
       :: isMade && !HAS(IDS) -> v = NEWEST[g]; rm(g, v - 1, WRITER); rm(g, v + 1, WRITER)
       :: else
       fi;
       do
       :: isMade && count < PUBS ->
          v = NEWEST[g] + 1;
          if :: HAS(NAMED_FIRST) && !linked[g] -> break :: else fi;
          make(g, v);
          if :: !isMade -> rm(g, v, WRITER); make(g, v); if :: !isMade -> break :: else fi :: else fi;
          if :: HAS(NAMED_AFTER) && !linked[g] -> discard(g, v); break :: else fi;
          if
          :: HAS(NEWEST_LAST) ->
             fill(g, v);
             if :: HAS(NAMED_AFTER) && !linked[g] -> discard(g, v); break :: else fi;
             NEWEST[g] = v
          :: else -> NEWEST[g] = v; fill(g, v)
          fi;
          rm(g, v - 1, WRITER);
          d_step { if :: part[AT(g, v)].maker == me -> part[AT(g, v)].maker = 0 :: else fi };
          count++
       :: else -> break
       od;
       atomic { if :: owner[g] == me -> owner[g] = 0 :: else fi }                      /* close() */
    fi;
    atomic { busy--; count = PUBS + 1 }
  }
#if KILLS > 0
  unless { atomic { dead[me] && count <= PUBS; dead[me] = 0; g = 0; v = 0; k = 0; isMade = 0; count = 0;
                    if :: goto again :: busy-- fi } }
#endif
}

inline removeParts(g) {
  if
  :: !HAS(IDS) -> v = NEWEST[g]; rm(g, v - 1, REMOVER); rm(g, v, REMOVER); rm(g, v + 1, REMOVER)
  :: HAS(IDS) && HAS(LIST_LAST) -> d_step { for (v : 1 .. END - 1) { there[v] = IS_PART(g, v) } }; removeListed(g)
  :: HAS(IDS) && !HAS(LIST_LAST) -> removeListed(g)
  fi
}
inline removeListed(g) {
  v = 1;
  do
  :: atomic { v < END -> SKIP(v, !there[v]); if :: v < END -> there[v] = 0; rm(g, v, REMOVER); v++ :: else fi }
  :: v == END -> break
  od
}

proctype remover(byte me) {                                                            /* removeWhole() */
  byte g, v; bool there[END], isMine = 1;
  {
    if
    :: HAS(RENAME) ->
       if :: ATTACHED && me == 3 -> isMine = (NAME == 1) :: else fi;                   /* inodeOf(name) */
       if :: isMine -> d_step { g = NAME; NAME = 0 } :: else fi                        /* rename(NAME, other) */
    :: else ->
       g = NAME;                                                                       /* open() */
       if
       :: ATTACHED && me == 3 && g != 1 -> isMine = 0; g = 0
       :: else -> d_step { v = NAME; NAME = 0; linked[v] = 0; v = 0 }                  /* unlink(NAME) */
       fi
    fi;
    if
    :: g && ATTACHED && me == 3 && HAS(RENAME) && HAS(GIVE_BACK) && g != 1 ->
       d_step { if :: NAME == 0 -> NAME = g :: else fi };                              /* linkat(other, NAME) */
       g = 0
    :: else
    fi;
    if
    :: g ->
       if
       :: !HAS(LIST_LAST) -> d_step { for (v : 1 .. END - 1) { there[v] = IS_PART(g, v) } }
       :: else
       fi;
       linked[g] = 0;                                                                  /* unlink(other) */
       removeParts(g);
       assert(!CHECKS(NAMES) || !(ATTACHED && me == 3 && g == 2))
    :: else
    fi;
    if :: me == 0 -> d_step { if :: NAME == 0 -> NAME = 2; linked[2] = 1 :: else fi } :: else fi;   /* create() */
    atomic { busy--; isMine = 0; g = END }
  }
#if KILLS > 0
  unless { atomic { dead[me] && g < END; busy--; g = END } }
#endif
}

#if PRUNE
proctype pruner() {
  byte g, v, h; bool there[3 * END];
  if :: HAS(PARTS_FIRST) :: else -> g = NAME fi;                                       /* idOf(NAME) */
  d_step { for (v : 0 .. 3 * END - 1) { there[v] = part[v].id > 0 }; v = 0 };          /* readdir() */
  if :: HAS(PARTS_FIRST) -> g = NAME :: else fi;                                       /* idOf(NAME) */
  v = END;
  do
  :: atomic { v < 3 * END ->
              do :: v < 3 * END && (!there[v] || v / END == g) -> there[v] = 0; v++ :: else -> break od;
              if :: v < 3 * END -> there[v] = 0; h = v / END; rm(h, v % END, PRUNER); v++ :: else fi }
  :: v == 3 * END -> break
  od;
  busy--
}
#endif

proctype reader() {
  byte g, n, id, reads; bool filled;
  g = NAME;                                                                            /* load() */
  if :: g == 0 -> reads = 3 :: else fi;
  do
  :: reads < 3 ->
     n = NEWEST[g];
     if
     :: n == 0
     :: else ->
        d_step { id = part[AT(g, n)].id; filled = part[AT(g, n)].filled };             /* part.load() */
        if
        :: id == 0 ->
           if :: NEWEST[g] == n -> assert(!CHECKS(TOLD) || !IS_LIVING(g)); break :: else fi
        :: id && !HAS(IDS) && !linked[g] -> break
        :: id && (HAS(IDS) || linked[g]) -> assert(!CHECKS(READER) || (id == g && filled))
        fi
     fi;
     d_step { reads++; id = 0; filled = 0; n = 0 }
  :: else -> break
  od
}

#define KILL(i) atomic { kills > 0 && !dead[i] -> kills--; dead[i] = 1; \
  for (k : 1 .. 2) { if :: owner[k] == i -> owner[k] = 0 :: else fi }; \
  for (k : 0 .. 3 * END - 1) { if :: part[k].maker == i -> part[k].maker = 0 :: else fi }; k = 0 }
#if KILLS > 0
active proctype killer() { byte kills = KILLS, k; do :: KILL(1) :: KILL(WRITERS) :: KILL(0) :: break od }
#endif

init {
  byte g, v;
  atomic { linked[1] = 1; busy = WRITERS + REMOVERS + PRUNE;
#if PRUNE
           run pruner();
#endif
           run writer(1); run remover(0); if :: READERS -> run reader() :: else fi;
           if :: WRITERS > 1 -> run writer(2) :: else fi; if :: REMOVERS > 1 -> run remover(3) :: else fi };
  d_step {                                             /* at last the publication is removed, and nobody writes */
    busy == 0;
    g = NAME; NAME = 0; linked[g] = 0;
    for (v : 1 .. END - 1) {
      if
      :: g && IS_PART(g, v) && (HAS(IDS) || (v + 1 >= NEWEST[g] && v <= NEWEST[g] + 1)) -> part[AT(g, v)].id = 0
      :: else
      fi
    };
    for (v : 0 .. 3 * END - 1) { assert(!CHECKS(LEFT) || PRUNE || !part[v].id) }
  }
}
