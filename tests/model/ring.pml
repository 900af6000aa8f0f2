/* SharedMemoryRing (src/publish/ring.ts, publication.ts, header_words.ts) and Ring of examples/python/shm_attach.py.
 *
 * The words BEGUN, NEWEST, TURN, ENDED and SLOTS slots of two halves; the kernel's flock and its queue of sleepers;
 * WRITERS that follow one another until FRAMES frames are there, and end the ring; READERS that take every frame by
 * next(). One statement is one access to shared memory or one system call. Memory is sequentially consistent:
 * what fences do is not shown (BEGUN_FIRST and NEWEST_LAST, taken out, stand for their absence). What stands beside a
 * frame, its moment and its text, is written after its first half, and so is the second half here.
 *
 *   -DKILLS=n    how many writers are killed, each at any step
 *   -DFORKS=n    how many writers fork while they write (Python)
 *   -DSLICES=1   a sleep may end by itself
 *   -DPYTHON=1   reader 0 is Python's
 *   -DWITHOUT=m  which of these are taken out, added up. ATOMIC_OR, CHILD_CLOSES and CHILD_REFUSES mend faults of commit 7157ce8
 */
#define BEGUN_FIRST     1  /* a writer stores BEGUN before it touches the slot */
#define NEWEST_LAST     2  /* a writer stores NEWEST after it filled the slot */
#define WHOLE_AFTER     4  /* isWhole() is asked after the frame was used */
#define LOOK_AGAIN      8  /* a reader loads NEWEST once more after it announced */
#define AFTER_NEWEST   16  /* a new writer goes on after NEWEST, not after BEGUN */
#define ENDED_FIRST    32  /* a reader loads ENDED before NEWEST: it does not miss a frame written just before the end */
#define ATOMIC_OR      64  /* a reader announces by one atomic operation on TURN; Python loaded and stored it */
#define CHILD_CLOSES  128  /* a forked child has no descriptor that its parent locks: Python maps another one */
#define CHILD_REFUSES 256  /* a forked child does not write by its parent's claim */
#define BIT_THERE     512  /* Python, whose "or" does not give the turn, announces again where the bit is gone by then */
#define BESIDE_FIRST 1024  /* give() reads what stands beside a frame, and then asks whether the frame is whole */
#define OLD           448  /* the code of commit 7157ce8: without these (it knew no ENDED) */
#ifndef WITHOUT
#define WITHOUT 0
#endif
#define HAS(mend) (!((WITHOUT) & (mend)))
#ifndef READERS
#define READERS 1
#endif
#ifndef WRITERS
#define WRITERS 1
#endif
#ifndef SLOTS
#define SLOTS 2
#endif
#ifndef FRAMES
#define FRAMES 3
#endif
#ifndef KILLS
#define KILLS 0
#endif
#ifndef FORKS
#define FORKS 0
#endif
#ifndef SLICES
#define SLICES 0
#endif
#ifndef PYTHON
#define PYTHON 0
#endif
#define NOBODY 3
#define A_CHILD 2

byte BEGUN, NEWEST, TURN; bit ENDED;            /* the words, */
byte head[SLOTS], tail[SLOTS];                  /* and the slots */
unsigned owner : 2 = NOBODY;                    /* the kernel: which open file has the flock, */
bool asleep[2], dead[2], copied[2];             /* who sleeps, who is dead, whose open file a child has, too */
byte forks = FORKS;
byte done;                                      /* how many readers have come to the end */

#define SLOT(n) ((n - 1) % SLOTS)
inline fill(n) { head[SLOT(n)] = n; tail[SLOT(n)] = n }
inline wake() {
  turn = TURN;
  if :: turn & 1 -> TURN++; d_step { asleep[0] = 0; asleep[1] = 0 } :: else fi;         /* notify(), all */
  turn = 0
}
inline write(n) {                                                      /* begin(), storeSource(), publish() */
  if
  :: !HAS(BEGUN_FIRST) -> fill(n); BEGUN = n; NEWEST = n
  :: !HAS(NEWEST_LAST) -> BEGUN = n; NEWEST = n; fill(n)
  :: else -> BEGUN = n; fill(n); NEWEST = n
  fi;
  wake()
}

proctype writer(byte me) {
  byte n, turn;
again:
  {
    do
    :: atomic { !ENDED && (owner == NOBODY || owner == me) -> owner = me };                  /* claim() */
       n = (HAS(AFTER_NEWEST) -> NEWEST : BEGUN) + 1;
       if
       :: n > FRAMES -> ENDED = 1; wake(); break                                             /* end() */
       :: else
       fi;
#if FORKS > 0
       if :: atomic { forks > 0 -> forks--; copied[me] = 1; run child(me) } :: true fi;
#endif
       write(n)
    :: atomic { owner == me -> owner = NOBODY }                     /* close(): another writer goes on */
    :: ENDED -> break
    od;
    if :: owner == me -> owner = NOBODY :: else fi;
    n = 255
  }
#if KILLS > 0
  unless { atomic { dead[me] && n < 255; dead[me] = 0; n = 0; turn = 0; goto again } }
#endif
}

#if FORKS > 0
proctype child(byte parent) {                       /* os.register_at_fork(); then it writes by its parent's claim */
  byte n, turn;
  if
  :: HAS(CHILD_CLOSES) -> d_step { copied[parent] = 0; if :: owner == A_CHILD -> owner = NOBODY :: else fi }
  :: else
  fi;
  if
  :: HAS(CHILD_REFUSES)
  :: else -> n = NEWEST + 1; if :: n <= FRAMES -> write(n) :: else fi
  fi
}
#endif

proctype reader(byte me) {
  byte last, n, turn, a, b; bit ended, newer;
  do
  :: do                                                                                 /* awaitNewer(last) */
     :: if
        :: HAS(ENDED_FIRST) -> ended = ENDED; newer = (NEWEST > last)
        :: else -> newer = (NEWEST > last); ended = ENDED
        fi;
        if :: newer || ended -> break :: else fi;
        if                                                                              /* announce() */
        :: me == 0 && PYTHON && !HAS(ATOMIC_OR) -> turn = TURN | 1; TURN = turn
        :: me == 0 && PYTHON && HAS(ATOMIC_OR) ->
           do :: TURN = TURN | 1; turn = TURN; if :: (turn & 1) || !HAS(BIT_THERE) -> break :: else fi od;
           turn = turn | 1
        :: else -> d_step { TURN = TURN | 1; turn = TURN }
        fi;
        if
        :: HAS(LOOK_AGAIN) && NEWEST > last
        :: else ->
           if
           :: HAS(LOOK_AGAIN) && ENDED
           :: else ->
              asleep[me] = (TURN == turn);                                              /* wait(TURN, turn, SLICE) */
              if :: !asleep[me] :: SLICES -> asleep[me] = 0 fi
           fi
        fi;
        turn = 0
     od;
     if :: !newer -> break :: else fi;                                                  /* EndedError */
     d_step { newer = 0; ended = 0 };
     if                                                                                 /* give() */
     :: HAS(BESIDE_FIRST) ->
        n = last + 1;
        do
        :: b = tail[SLOT(n)];
           if :: BEGUN < n + SLOTS -> break :: else -> n = NEWEST fi
        od
     :: else ->
        if :: BEGUN < last + 1 + SLOTS -> n = last + 1 :: else -> n = NEWEST fi;
        b = tail[SLOT(n)]
     fi;
     assert(n > last);                                                             /* the numbers never go back */
     assert(b == n);                                                        /* the timestamp and meta of the frame */
     if
     :: HAS(WHOLE_AFTER) ->
        a = head[SLOT(n)]; b = tail[SLOT(n)];
        if :: BEGUN < n + SLOTS -> assert(a == n && b == n) :: else fi
     :: else ->
        if :: BEGUN < n + SLOTS -> a = head[SLOT(n)]; b = tail[SLOT(n)]; assert(a == n && b == n) :: else fi
     fi;
     d_step { last = n; a = 0; b = 0; n = 0 }
  od;
  assert(last == FRAMES);                                 /* what is there is read before the end is */
  done++
}

#define KILL(i) atomic { kills > 0 && owner == i -> \
  kills--; dead[i] = 1; owner = (copied[i] -> A_CHILD : NOBODY) }
#if KILLS > 0
active proctype killer() {
  byte kills = KILLS;
  do :: KILL(0) :: KILL(1) :: break od
}
#endif

init { atomic { run writer(0); run reader(0);
                if :: READERS > 1 -> run reader(1) :: else fi; if :: WRITERS > 1 -> run writer(1) :: else fi } }

/* A reader that sleeps while its frame is there, or the end, is an invalid end state: "stuck". */
ltl ends { <> (done == READERS) }                         /* for runs with slices: the next writer goes on */
