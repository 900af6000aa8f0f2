/* SharedMemoryLock (src/sync/lock.ts, src/sync/lock_words.ts) and Lock of examples/python/shm_attach.py.
 *
 * One segment with the words TURN, WAITING, HELD; the kernel's flock, its locks on the gate's byte, and its queue of
 * sleepers; N users that acquire and release it, alone or shared, user 0 ROUNDS times, the others once. One statement is one access to shared memory or one system call. Memory is
 * sequentially consistent: fences are not checked here.
 *
 *   -DKILLS=n    how many users are killed, each at any step; a new process takes the place of each
 *   -DFORKS=n    how many users fork while they hold the lock (Python)
 *   -DSLICES=b   bits: 1 every sleep may end by itself, 2 only that of a user that lets another one in
 *   -DKINDS=k    how users 0, 1, 2 acquire, two bits each: 0 acquire(), 1 acquireAsync(), 2 Python
 *   -DSHARED=m   which users are readers, who take it shared: the sum of 1, 2, 4 for users 0, 1, 2
 *   -DFOREVER=1  readers take it again and again, for "ltl served"
 *   -DALONE=1    claims that no two readers are in at once, which is false
 *   -DABORTS=1   a task of acquireAsync() that was woken may fail before it looks at the lock
 *   -DORDER=1    checks that a user that woke another one does not hold again before another one did; for N=2
 *   -DWITHOUT=m  which of the mends below are taken out, added up; OLD is the code of commit 7157ce8
 */
#define TURN_FIRST      1  /* a waiter loads TURN before it stores WAITING */
#define ANNOUNCE_AGAIN  2  /* acquireAsync() announces before it takes the lock, also after a wake-up */
#define HAND_ON         4  /* a woken task that fails wakes the next waiter */
#define ATOMIC_ADD      8  /* Python adds to TURN by one atomic operation */
#define LET_IN         16  /* a user that woke another one at its release lets it in before it takes the lock again */
#define LAST_OF_ALL    32  /* a user that let another one in announces before it takes the lock, too */
#define CHILD_CLOSES   64  /* a forked child has no descriptor that its parent locks: Python maps another one */
#define CHILD_FORGETS 128  /* a forked child does not release what its parent holds */
#define OLD           255
#define KERNEL        256  /* a reader has the flock, shared, and not nothing */
#define GATE          512  /* a writer that waits holds back new readers by a lock on a byte */
#define KEEP_SHOWN   1024  /* a release leaves GATED as it is */
#define TOGETHER     2048  /* a release wakes all sleepers if one of them is a reader: that one may be held back */
#define TELL         4096  /* a writer that gives up wakes the readers that it held back */
#define LEAVE_HELD   8192  /* a reader leaves HELD as it is */
#define LOOK_AFTER  16384  /* a release looks for readers once more after it has woken one: that may be a reader who is held back */
#define GATE_ENDS   32768  /* the gate of a writer that is killed is open: it is a lock of the kernel, and not a word */
#ifndef WITHOUT
#define WITHOUT 0
#endif
#define HAS(mend) (!((WITHOUT) & (mend)))
#ifndef N
#define N 3
#endif
#ifndef ROUNDS
#define ROUNDS 2
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
#ifndef KINDS
#define KINDS 0
#endif
#ifndef ORDER
#define ORDER 0
#endif
#ifndef SHARED
#define SHARED 0
#endif
#ifndef FOREVER
#define FOREVER 0
#endif
#ifndef ALONE
#define ALONE 0
#endif
#ifndef ABORTS
#define ABORTS 0
#endif
#define LAST (N - 1)
#define ASYNC 1
#define PYTHON 2
#define KIND ((KINDS >> (2 * me)) & 3)
#define READER(i) ((SHARED >> (i)) & 1)
#define ANNOUNCEMENT (READER(me) -> 3 : 1)      /* READER_ANNOUNCED, ANNOUNCED */
#define NOBODY 7
#define A_CHILD 6

unsigned TURN : 4, WAITING : 2; bit HELD, GATED;  /* the words; GATED is a bit of WAITING */
unsigned owner : 3 = NOBODY;                    /* the kernel: which open file has the flock alone, */
bool reads[N], gate[N];                         /* which have it shared, and which have a lock on the gate's byte; */
bool asleep[N], dead[N], copied[N];             /* who sleeps, who is dead, whose open file a child has, too */
byte forks = FORKS, done;
bit isStale;                                    /* whether a gate is closed whose writer is dead */
bit isServed;                                   /* whether user 0 has had the lock */
bool inside[N], isAbandoned;                    /* to check by: who is in the section; has the last one died there? */
unsigned releaser : 3 = NOBODY; bool hasWoken;    /* who released last, if nobody has held since, and woke a sleeper */

inline wake(all) {                              /* notify(words, TURN, 1 or all): the kernel chooses */
  atomic {
    d_step { isOwing = asleep[0] || asleep[1] || asleep[LAST]; hasWoken = isOwing && releaser == me };
    if
    :: (all) -> d_step { asleep[0] = 0; asleep[1] = 0; asleep[LAST] = 0 }
    :: !(all) && asleep[0] -> asleep[0] = 0
    :: !(all) && asleep[1] -> asleep[1] = 0
    :: !(all) && asleep[LAST] -> asleep[LAST] = 0
    :: !(all) && !isOwing
    fi
  }
}
inline announce() {
  if :: HAS(TURN_FIRST) -> turn = TURN; WAITING = WAITING | ANNOUNCEMENT
  :: else -> WAITING = WAITING | ANNOUNCEMENT; turn = TURN fi
}
inline ask() { isClosed = gate[0] && me != 0 || gate[1] && me != 1 || gate[LAST] && me != LAST || isStale }
                                                                                                /* isByteLocked() */
inline take() {
#if SHARED > 0
  if
  :: READER(me) ->
     isClosed = GATED;
     if
     :: isClosed ->
        ask();
        if :: isClosed :: else -> GATED = 0; ask(); if :: isClosed -> GATED = 1 :: else fi fi
     :: else
     fi;
     d_step { taken = !isClosed && (owner == NOBODY || !HAS(KERNEL)); isClosed = 0; if :: taken -> reads[me] = HAS(KERNEL) :: else fi }
  :: else ->
#endif
     d_step { taken = owner == NOBODY && !(reads[0] || reads[1] || reads[LAST]); if :: taken -> owner = me :: else fi }
#if SHARED > 0
  fi
#endif
}                                                                                               /* tryFlock() */
inline stand() {                                                              /* writer.wait(): closeGate(), showGate() */
#if SHARED > 0
  if :: !READER(me) && HAS(GATE) -> gate[me] = 1; GATED = 1 :: else fi
#else
  skip
#endif
}
inline go_in() {                                                              /* writer.end(true): openGate(true) */
#if SHARED > 0
  if :: gate[me] -> gate[me] = 0 :: else fi
#else
  skip
#endif
}
inline give_up() {                                                            /* writer.end(false): openGate(false) */
#if SHARED > 0
  if
  :: gate[me] ->
     gate[me] = 0;
     if
     :: HAS(TELL) && (WAITING & 2) -> WAITING = 0; TURN++; wake(true); isOwing = 0                     /* advance() */
     :: else
     fi
  :: else
  fi
#else
  skip
#endif
}
inline sleep(slices) {                                                      /* wait(words, TURN, turn, SLICE) */
  asleep[me] = (TURN == turn);
  if :: !asleep[me] :: SLICES & (slices) -> asleep[me] = 0 fi
}
inline hold(hasWaited) {                                                                     /* exchange(words, HELD, 1) */
  d_step {
    assert(!ORDER || !(releaser == me && hasWoken));      /* one that was woken is let in before its waker */
    releaser = NOBODY; hasWoken = 0;
    assert(HELD == isAbandoned);             /* `abandoned` is true if, and only if, the last holder died inside */
    inside[me] = 1; isServed = isServed || me == 0;
    if
    :: !READER(me) -> HELD = 1; isAbandoned = 0; assert(inside[0] + inside[1] + (N > 2 -> inside[LAST] : 0) == 1)
    :: else ->
       if :: !HAS(LEAVE_HELD) -> HELD = 0 :: else fi;
       assert(!(inside[0] && !READER(0) || inside[1] && !READER(1) || inside[LAST] && !READER(LAST)));
       assert(!ALONE || inside[0] + inside[1] + (N > 2 -> inside[LAST] : 0) == 1)
    fi
  };
  if :: HAS(LET_IN) && hasWaited -> TURN++ :: else fi;          /* count(): whoever lets one in learns that it is in */
  go_in();
#if FORKS > 0
  if :: atomic { KIND == PYTHON && !READER(me) && forks > 0 -> forks--; copied[me] = 1; run child(me) } :: true fi
#endif
}
inline release() {
  d_step { inside[me] = 0; if :: !READER(me) -> HELD = 0 :: else fi };
  d_step { if :: READER(me) -> reads[me] = 0 :: else -> owner = NOBODY fi; releaser = me; hasWoken = 0 };  /* unflock() */
  if
  :: KIND != PYTHON -> d_step { announced = WAITING; WAITING = 0; GATED = GATED && HAS(KEEP_SHOWN) }   /* and(WAITING, ~3) */
  :: else -> announced = WAITING; if :: announced -> WAITING = WAITING & (3 - announced); turn = TURN + 1 :: else fi
  fi;
  if
  :: announced && (KIND != PYTHON || HAS(ATOMIC_ADD)) ->                                              /* advance(1) */
     d_step { TURN++; turn = (KIND == PYTHON -> turn : TURN) };
     wake((announced & 2) && HAS(TOGETHER));
#if SHARED > 0
     if :: !(announced & 2) && HAS(LOOK_AFTER) && (WAITING & 2) -> wake(true) :: else fi
#endif
  :: announced && KIND == PYTHON && !HAS(ATOMIC_ADD) -> TURN = turn; wake(true)
  :: else
  fi;
  announced = 0
}

#if FORKS > 0
proctype child(byte parent) {                                     /* os.register_at_fork(), then the end of `with` */
  if
  :: HAS(CHILD_CLOSES) -> d_step { copied[parent] = 0; if :: owner == A_CHILD -> owner = NOBODY :: else fi }
  :: else
  fi;
  if :: HAS(CHILD_FORGETS) :: else -> HELD = 0 fi
}
#endif

proctype user(byte me) {
  unsigned turn : 4, announced : 2; bool taken, isOwing, hasWaited, isClosed; byte round;
again:
  {
    do
    :: round < (me == 0 -> ROUNDS : 1) ->
       if :: isOwing && HAS(LET_IN) -> WAITING = WAITING | ANNOUNCEMENT; sleep(3) :: else fi;   /* letIn(): in the turn that its release began */
       if :: !(isOwing && HAS(LET_IN) && HAS(LAST_OF_ALL)) -> take() :: else fi;
       d_step { isOwing = 0; turn = 0 };
       do
       :: taken -> break
       :: else ->
          announce();
          hasWaited = 1;
          take();
          if :: taken -> break :: else -> stand(); sleep(1) fi;
          if
          :: KIND == ASYNC && ABORTS -> if :: HAS(HAND_ON) -> wake(false); isOwing = 0 :: else fi; give_up(); break
          :: KIND == ASYNC && !HAS(ANNOUNCE_AGAIN) -> take()
          :: true
          fi
       od;
       if :: taken -> turn = 0; hold(hasWaited); hasWaited = 0; release() :: else fi;
       d_step { taken = 0; hasWaited = 0; if :: !(isOwing && HAS(LET_IN)) -> turn = 0; isOwing = 0 :: else fi };
       if :: FOREVER && READER(me) :: else -> round++ fi
    :: else -> break
    od;
    atomic { done++; round = ROUNDS + 1 }
  }
#if KILLS > 0
  unless { atomic { dead[me] && round <= ROUNDS; dead[me] = 0; taken = 0; turn = 0; isOwing = 0; hasWaited = 0; announced = 0; isClosed = 0; goto again } }
#endif
}

#define KILL(i) atomic { kills > 0 && !dead[i] -> \
  kills--; dead[i] = 1; asleep[i] = 0; isAbandoned = isAbandoned || inside[i] && !READER(i); inside[i] = 0; \
  isStale = isStale || gate[i] && !HAS(GATE_ENDS); reads[i] = 0; gate[i] = 0; \
  if :: owner == i -> owner = (copied[i] -> A_CHILD : NOBODY) :: else fi }
#if KILLS > 0
active proctype killer() {
  byte kills = KILLS;
  do :: KILL(0) :: KILL(1) :: KILL(LAST) :: break od
}
#endif

init { atomic { run user(0); run user(1); if :: N > 2 -> run user(LAST) :: else fi } }

/* A user that sleeps while nobody is left to wake it is an invalid end state: "stuck". */
ltl ends { <> (done == N) }                                       /* for runs with slices: every user is served */
ltl served { <> isServed }                                        /* for runs with FOREVER: readers starve no writer */
