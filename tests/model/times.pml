/* The moments of versions (src/publish/versions_words.ts) and Versions of examples/python/shm_attach.py.
 *
 * The words NEWEST, and TIMED and TIME of two places; WRITERS that follow one another and publish up to version LAST, with
 * numbers that another user's files make them leave out; a READER. The moment of version n is a number of its own for each
 * try to publish it: a killed writer's try is another moment than that of the next writer. One statement is one access to
 * shared memory, which is sequentially consistent here.
 *
 *   -DKILLS=n    how many writers are killed, each at any step
 *   -DSKIPS=n    how many numbers are left out
 *   -DWITHOUT=m  which of these are taken out, added up
 */
#define OTHER_PLACE  1  /* a writer leaves the place alone that has the number in NEWEST; without: the place goes with the number */
#define TIMED_ZERO   2  /* a writer stores 0 in TIMED before it stores TIME */
#define TIMED_AGAIN  4  /* a reader loads TIMED again after TIME */
#define NEWEST_LAST  8  /* a writer stores NEWEST after the moment */
#ifndef WITHOUT
#define WITHOUT 0
#endif
#define HAS(mend) (!((WITHOUT) & (mend)))
#ifndef LAST
#define LAST 4
#endif
#ifndef KILLS
#define KILLS 0
#endif
#ifndef SKIPS
#define SKIPS 0
#endif
#define WRITERS 2

byte NEWEST, TIMED[2], TIME[2];         /* the words */
byte tries;                             /* the moments that there were: each try has one */
byte moment[LAST + 1];                  /* the moment that version n is published with */
unsigned owner : 2 = 2;                 /* the kernel: who has the flock */
bool dead[WRITERS];
byte kills = KILLS, skips = SKIPS;
bool isDone;

proctype writer(byte me) {
  byte n, place, now;
again:
  {
    do
    :: atomic { owner == 2 -> owner = me }                                                      /* claim() */
       do
       :: NEWEST >= LAST -> isDone = 1; break
       :: NEWEST < LAST ->
          n = NEWEST + 1;
          if :: atomic { skips > 0 && n < LAST -> skips--; n++ } :: true fi;                    /* a name in the way */
          d_step { tries++; now = tries; moment[n] = now };
          if
          :: HAS(OTHER_PLACE) -> place = (TIMED[0] != NEWEST -> 0 : 1)                          /* storeTime() */
          :: else -> place = n % 2
          fi;
          if :: !HAS(NEWEST_LAST) -> NEWEST = n :: else fi;
          if :: HAS(TIMED_ZERO) -> TIMED[place] = 0 :: else fi;
          TIME[place] = now;
          TIMED[place] = n;
          NEWEST = n                                                                            /* storeNewest() */
       :: break                                                                                 /* close() */
       od;
       atomic { owner = 2; n = 0; place = 0; now = 0 };
       if :: isDone -> break :: else fi
    :: isDone -> break
    od;
    n = 255
  }
#if KILLS > 0
  unless { atomic { dead[me] && n < 255; dead[me] = 0; n = 0; place = 0; now = 0; goto again } }
#endif
}

proctype reader() {
  byte n, place, time; bit found;
  do
  :: isDone && n == LAST -> break
  :: n = NEWEST;
     if
     :: n == 0
     :: else ->
        found = 0;                                                                              /* timeOf() */
        place = 0;
        do
        :: place == 2 || found -> break
        :: else ->
           if
           :: TIMED[place] == n ->
              time = TIME[place];
              if
              :: !HAS(TIMED_AGAIN) || TIMED[place] == n -> found = 1
              :: else -> place = 2
              fi
           :: else -> place++
           fi
        od;
        if
        :: found -> assert(time == moment[n])
        :: else -> assert(NEWEST != n)                                   /* otherwise nothing tells the moment */
        fi;
        atomic { time = 0; place = 0; found = 0 }
     fi
  od
}

#if KILLS > 0
active proctype killer() {
  do
  :: atomic { kills > 0 && owner < 2 -> kills--; dead[owner] = 1; owner = 2 }
  :: break
  od
}
#endif

init { atomic { run writer(0); run writer(1); run reader() } }
