/* SharedMemoryLock (src/sync/lock.ts, src/sync/lock_words.ts) and Lock of examples/python/shm_attach.py.
 *
 * One segment with the words TURN, WAITING, HELD; the kernel's flock and its queue of sleepers; N users that
 * acquire and release it, user 0 ROUNDS times, the others once. One statement is one access to shared memory or one system call. Memory is
 * sequentially consistent: fences are not checked here.
 *
 *   -DKILLS=n    how many users are killed, each at any step; a new process takes the place of each
 *   -DFORKS=n    how many users fork while they hold the lock (Python)
 *   -DSLICES=b   bits: 1 every sleep may end by itself, 2 only that of a user that lets another one in
 *   -DKINDS=k    how users 0, 1, 2 acquire, two bits each: 0 acquire(), 1 acquireAsync(), 2 Python
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
#ifndef ABORTS
#define ABORTS 0
#endif
#define LAST (N - 1)
#define ASYNC 1
#define PYTHON 2
#define KIND ((KINDS >> (2 * me)) & 3)
#define NOBODY 7
#define A_CHILD 6

unsigned TURN : 4; bit WAITING, HELD;           /* the words */
unsigned owner : 3 = NOBODY;                    /* the kernel: which open file has the flock, */
bool asleep[N], dead[N], copied[N];             /* who sleeps, who is dead, whose open file a child has, too */
byte forks = FORKS, done;
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
  if :: HAS(TURN_FIRST) -> turn = TURN; WAITING = 1 :: else -> WAITING = 1; turn = TURN fi
}
inline take() { d_step { taken = (owner == NOBODY); if :: taken -> owner = me :: else fi } }   /* tryFlock() */
inline sleep(slices) {                                                      /* wait(words, TURN, turn, SLICE) */
  asleep[me] = (TURN == turn);
  if :: !asleep[me] :: SLICES & (slices) -> asleep[me] = 0 fi
}
inline hold(hasWaited) {                                                                     /* exchange(words, HELD, 1) */
  d_step {
    assert(!ORDER || !(releaser == me && hasWoken));      /* one that was woken is let in before its waker */
    releaser = NOBODY; hasWoken = 0;
    assert(HELD == isAbandoned);             /* `abandoned` is true if, and only if, the last holder died inside */
    HELD = 1; isAbandoned = 0; inside[me] = 1;
    assert(inside[0] + inside[1] + (N > 2 -> inside[LAST] : 0) == 1)
  };
  if :: HAS(LET_IN) && hasWaited -> TURN++ :: else fi;          /* count(): whoever lets one in learns that it is in */
#if FORKS > 0
  if :: atomic { KIND == PYTHON && forks > 0 -> forks--; copied[me] = 1; run child(me) } :: true fi
#endif
}
inline release() {
  d_step { HELD = 0; inside[me] = 0 };
  d_step { owner = NOBODY; releaser = me; hasWoken = 0 };                /* unflock() */
  if
  :: KIND != PYTHON -> d_step { taken = WAITING; WAITING = 0 }                         /* exchange(WAITING, 0) */
  :: else -> taken = WAITING; if :: taken -> WAITING = 0; turn = TURN + 1 :: else fi
  fi;
  if
  :: taken && KIND != PYTHON -> d_step { TURN++; turn = TURN }; wake(false)                        /* advance(1) */
  :: taken && KIND == PYTHON && HAS(ATOMIC_ADD) -> TURN++; wake(false)
  :: taken && KIND == PYTHON && !HAS(ATOMIC_ADD) -> TURN = turn; wake(true)
  :: else
  fi
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
  unsigned turn : 4; bool taken, isOwing, hasWaited; byte round;
again:
  {
    do
    :: round < (me == 0 -> ROUNDS : 1) ->
       if :: isOwing && HAS(LET_IN) -> WAITING = 1; sleep(3) :: else fi;   /* letIn(): in the turn that its release began */
       if :: !(isOwing && HAS(LET_IN) && HAS(LAST_OF_ALL)) -> take() :: else fi;
       d_step { isOwing = 0; turn = 0 };
       do
       :: taken -> break
       :: else ->
          announce();
          hasWaited = 1;
          take();
          if :: taken -> break :: else -> sleep(1) fi;
          if
          :: KIND == ASYNC && ABORTS -> if :: HAS(HAND_ON) -> wake(false); isOwing = 0 :: else fi; break
          :: KIND == ASYNC && !HAS(ANNOUNCE_AGAIN) -> take()
          :: true
          fi
       od;
       if :: taken -> turn = 0; hold(hasWaited); hasWaited = 0; release() :: else fi;
       d_step { taken = 0; hasWaited = 0; if :: !(isOwing && HAS(LET_IN)) -> turn = 0; isOwing = 0 :: else fi };
       round++
    :: else -> break
    od;
    atomic { done++; round = ROUNDS + 1 }
  }
#if KILLS > 0
  unless { atomic { dead[me] && round <= ROUNDS; dead[me] = 0; taken = 0; turn = 0; isOwing = 0; hasWaited = 0; goto again } }
#endif
}

#define KILL(i) atomic { kills > 0 && !dead[i] -> \
  kills--; dead[i] = 1; asleep[i] = 0; isAbandoned = isAbandoned || inside[i]; inside[i] = 0; \
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
