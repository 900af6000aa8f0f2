/* SharedMemoryBarrier (src/sync/attached_barrier.ts, barrier_words.ts; src/sync/event_count.ts).
 *
 * N seats with a party each, which meet until generation ROUNDS. One of them, in the last seat, may be killed; a
 * replacement takes its seat then, or finds the seat of an earlier replacement. The words: ROUND with its retractions,
 * which change together; BREAKS; TURN; for each seat the id, and for what its party came, in one word. The kernel's byte
 * locks say who is dead. One statement is one access to shared memory or one system call.
 *
 *   -DN=n         seats
 *   -DROUNDS=n    how many generations there are
 *   -DPATIENT=m   which seats have patient parties, added up: 1 is the first, 2 the second, 4 the third
 *   -DKILLS=n     how many parties of the last seat are killed, each at any step
 *   -DTIMEOUTS=n  how many times a party gives up at any moment
 *   -DSLICES=1    a sleep may end by itself: who looks goes on looking
 *   -DWITHOUT=m   which of these are taken out, added up
 */
#define ONE_WORD      1  /* the id of a seat and the arrival change together */
#define WITNESS       2  /* who moves ROUND on asks first whether all live */
#define SAME_WORD     4  /* and asks for the id that stands in the same word as the arrival */
#define TAKE_BACK     8  /* who gives up takes its arrival back */
#define RETRACT      16  /* and counts that in ROUND */
#define IN_TIME      32  /* and goes on if the meeting was complete before */
#define COUNT_BREAK  64  /* who takes the seat of the dead changes BREAKS */
#define BREAKS_FIRST 128  /* before ROUND */
#define LOOK_AGAIN   256  /* who wants to sleep looks after it has announced itself */
#ifndef WITHOUT
#define WITHOUT 0
#endif
#define HAS(mend) (!((WITHOUT) & (mend)))
#ifndef N
#define N 2
#endif
#ifndef ROUNDS
#define ROUNDS 2
#endif
#ifndef PATIENT
#define PATIENT 0
#endif
#ifndef KILLS
#define KILLS 0
#endif
#ifndef TIMEOUTS
#define TIMEOUTS 0
#endif
#ifndef SLICES
#define SLICES 0
#endif
#define IDS (N + KILLS + 1)
#define LAST (N - 1)
#define IS_PATIENT(seat) (((PATIENT) >> (seat)) & 1)

byte ROUND, retractions;                          /* one word */
byte SEAT[N], cameFor[N], cameAt[N]; bit waits[N]; /* one word for each seat: id, generation, BREAKS, patience */
byte BREAKS, TURN;
bool dead[IDS]; bool asleep[IDS];
byte kills = KILLS, timeouts = TIMEOUTS;
/* Ghosts: for which generation the party of a seat is there; whether it was when a dead one was replaced, and is to be
 * told of that; who has finished. */
byte here[N]; bool wasThere[N], mustFail[N]; byte finished;

#define HAS_COME(i, g, b) (cameFor[i] == g && (cameAt[i] == b || waits[i]))

#if SLICES
/* A sleep may end at any moment. So nothing rests on the waking, which is left out. */
inline announce() { skip }
inline sleep() { skip }
inline wakeAll() { skip }
#else
/* EventCount: announce(), sleep(), advance() */
inline announce() { d_step { TURN = TURN | 1; turn = TURN } }
inline sleep() {
  atomic { if :: TURN == turn -> asleep[me] = true :: else fi };
  !asleep[me]
}
inline wakeAll() {
  if
  :: atomic { TURN & 1 -> TURN++ };
     d_step { j = 0; do :: j < IDS -> asleep[j] = false; j++ :: else -> break od; j = 0 }
  :: else
  fi
}
#endif

/* What was loaded is of no use any more: fewer states. */
inline forget() { d_step { i = 0; o = 0; r = 0; q = 0; b = 0; turn = 0; all = false; lost = false; ok = false; isDead = 0 } }
inline forgetAll() { forget(); d_step { s = 0; g = 0; since = 0; isOn = false } }

/* #giveUp(), #takeBack(): result is ON if the meeting was complete before */
inline giveUp() {
  if :: HAS(TAKE_BACK) -> d_step { assert(SEAT[s] == me); cameFor[s] = g - 1; cameAt[s] = 0; waits[s] = 0 } :: else fi;
  atomic {
    r = ROUND;
    if :: HAS(RETRACT) -> retractions++ :: else fi;
    if :: r == g - 1 -> here[s] = 0 :: else fi
  };
  d_step {
    isOn = r == g && HAS(IN_TIME);
    assert(isOn || r != g);                       /* nobody is told that a complete meeting failed */
    assert(!isOn || !mustFail[s]);
    mustFail[s] = false; r = 0
  }
}

/* #look(): all, lost (a death was seen), or neither */
inline look() {
  d_step {                                        /* ROUND; and who is dead now, which must be seen below */
    r = ROUND; q = retractions; isDead = 0; i = 0;
    do :: i < N -> if :: dead[SEAT[i]] -> isDead = 1 :: else fi; i++ :: else -> break od; i = 0;
    isOn = r == g; lost = false; all = false
  };
  if
  :: isOn
  :: !isOn ->
     d_step {
       assert(r == g - 1);
       b = BREAKS;
       lost = b != since && !IS_PATIENT(s);
       if :: lost :: else -> since = b; all = true; i = (s == 0 -> 1 : 0) fi;
       b = 0
     };
     /* #haveAllCome() only saves the questions to the kernel, so it is left out; #doThoseLive() */
     do
     :: d_step { i < N && all -> all = HAS_COME(i, g, since); o = SEAT[i] };
        if :: !HAS(SAME_WORD) -> o = SEAT[i] :: HAS(SAME_WORD) fi;
        d_step {
          if :: all && HAS(WITNESS) && dead[o] -> all = false; lost = !IS_PATIENT(s) :: else fi;
          o = 0;
          i = (i + 1 == s -> i + 2 : i + 1)
        }
     :: atomic {
          (i >= N || !all) -> i = 0;
          ok = all && ROUND == r && retractions == q;
          if
          :: ok ->
             ROUND++;
             assert(!isDead);                     /* nobody goes on who comes after a death that nobody has mended */
             do :: i < N -> assert(here[i] == g); i++ :: else -> break od;
             i = 0; isOn = true
          :: else
          fi
        };
        break
     od;
     if
     :: ok -> wakeAll()
     :: !ok && all -> goto again
     :: !ok && !all
     fi
  fi
}

/* Meets until the last generation; s is the seat, which this party has. */
inline party() {
  do
  :: g > ROUNDS -> break
  :: g <= ROUNDS ->
     atomic { g = ROUND + 1; if :: g > ROUNDS -> break :: else fi };     /* #come() */
     since = BREAKS;
     d_step { assert(SEAT[s] == me); cameFor[s] = g; cameAt[s] = since; waits[s] = IS_PATIENT(s); here[s] = g; wasThere[s] = false; mustFail[s] = false };
again:
     atomic { forget(); if :: HAS(LOOK_AGAIN) -> announce() :: else fi };
     look();
     if
     :: isOn -> assert(!mustFail[s])              /* who has waited while one was replaced does not go on unknowing */
     :: !isOn && lost -> giveUp(); wakeAll();
        /* The program starts a replacement, and waits for it. */
        if :: isOn :: else -> !dead[SEAT[LAST]] fi
     :: atomic { !isOn && !lost && timeouts > 0 -> timeouts-- }; giveUp()
     :: !isOn && !lost ->
        if :: HAS(LOOK_AGAIN) :: else -> announce() fi;
        sleep();
        if                                        /* #lookAround() */
        :: !IS_PATIENT(s) && dead[SEAT[LAST]] && SEAT[LAST] != me -> giveUp(); wakeAll();
           if :: isOn :: else -> !dead[SEAT[LAST]] fi
        :: else -> goto again
        fi
     fi;
     forget()
  od
}

/* Those that sit from the beginning: id 1 in seat 0 and so on. */
proctype sitter(byte me) {
  byte s, g, since, r, q, b, i, j, o, turn; bool all, lost, ok, isOn; bit isDead;
  { s = me - 1; party(); atomic { forgetAll(); finished++ } } unless { atomic { dead[me] -> forgetAll() } }
}

/* Takes the last seat when its party is dead: takeSeat(), #sitDown() */
proctype replacement(byte me) {
  byte s, g, since, r, q, b, i, j, o, turn; bool all, lost, ok, isOn; bit isDead;
  {
    s = LAST;
end: dead[SEAT[s]];
    r = ROUND;
    if
    :: HAS(ONE_WORD) -> d_step { SEAT[s] = me; cameFor[s] = r; cameAt[s] = 0; waits[s] = 0 }
    :: else -> SEAT[s] = me; d_step { cameFor[s] = r; cameAt[s] = 0; waits[s] = 0 }
    fi;
    d_step {
      if :: HAS(COUNT_BREAK) && HAS(BREAKS_FIRST) -> BREAKS++ :: else fi;
      i = 0;
      do :: i < N -> wasThere[i] = here[i] == ROUND + 1 && !IS_PATIENT(i); i++ :: else -> break od;
      i = 0
    };
    d_step {
      retractions++;
      here[s] = 0;
      /* Whoever was there and was not let on yet must be told. */
      i = 0;
      do :: i < N -> mustFail[i] = wasThere[i] && here[i] == ROUND + 1; i++ :: else -> break od;
      i = 0
    };
    if :: HAS(COUNT_BREAK) && !HAS(BREAKS_FIRST) -> BREAKS++ :: else fi;
    wakeAll();
    party();
    atomic { forgetAll(); finished++ }
  } unless { atomic { dead[me] -> forgetAll() } }
}

#if KILLS > 0
active proctype killer() {
  do
  :: atomic { kills > 0 && ROUND < ROUNDS && SEAT[LAST] != 0 && !dead[SEAT[LAST]] ->
       kills--; dead[SEAT[LAST]] = true; asleep[SEAT[LAST]] = false }
  :: break
  od
}
#endif

init {
  atomic {
    byte id = 1;
    do
    :: id <= N -> SEAT[id - 1] = id; id++
    :: else -> break
    od;
    id = 1;
    do :: id <= N -> run sitter(id); id++ :: else -> break od;
#if KILLS > 0
    run replacement(N + 1);
#endif
#if KILLS > 1
    run replacement(N + 2);
#endif
  }
}
/* All seats see the last generation. */
ltl ends { <> (ROUND == ROUNDS) }
