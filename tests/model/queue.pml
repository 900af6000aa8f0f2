/* SharedMemoryQueue (src/queue/attached_queue.ts, queue_words.ts; src/sync/event_count.ts).
 *
 * One slot: the word STATE with the number of deaths and the owner, which change together by compare-and-exchange;
 * CALLER; a message and an answer of two halves; the words ENDED, WORK, ROOM and ANSWER; the kernel's byte locks (who
 * is dead) and its sleepers. CALLERS that call with ITEMS items each, one after another; TAKERS; one that ends the
 * queue when the callers have finished. One statement is one access to shared memory or one system call.
 *
 *   -DKILLS=n     how many of caller 2 and the first taker are killed, each at any step
 *   -DTIMEOUTS=n  how many times a call is given up
 *   -DRELEASES=n  how many times a taker gives an item back
 *   -DSLICES=1    a sleep may end by itself: who looks goes on looking
 *   -DATTEMPTS=n  after how many deaths an item is given up
 *   -DENDER=1     the queue is ended at any moment
 *   -DONCE=1      a taker leaves after its first item
 *   -DWITHOUT=m   which of these are taken out, added up
 */
#define DROP          1  /* a call that is given up while a taker has it is DROPPED: the slot is not free before */
#define WITNESS       2  /* only who has no lock is dead */
#define WHOLE_WORD    4  /* a rescuer changes the state only if deaths and owner are the same, too */
#define TWO_AREAS     8  /* the answer is not written over the message */
#define LOOK_AGAIN   16  /* who wants to sleep looks after it has announced itself */
#define HAND_ON      32  /* a taker that was woken and has found something wakes the next one */
#define ENDED_FIRST  64  /* a taker loads ENDED before it looks at the slot */
#define CLAIM_FIRST 128  /* who puts claims the slot before it loads ENDED */
#ifndef WITHOUT
#define WITHOUT 0
#endif
#define HAS(mend) (!((WITHOUT) & (mend)))
#ifndef CALLERS
#define CALLERS 1
#endif
#ifndef TAKERS
#define TAKERS 2
#endif
#ifndef ITEMS
#define ITEMS 1
#endif
#ifndef KILLS
#define KILLS 0
#endif
#ifndef TIMEOUTS
#define TIMEOUTS 0
#endif
#ifndef RELEASES
#define RELEASES 0
#endif
#ifndef SLICES
#define SLICES 0
#endif
#ifndef ATTEMPTS
#define ATTEMPTS 3
#endif
#ifndef ENDER
#define ENDER 0
#endif
#ifndef ONCE
#define ONCE 0
#endif
#define FREE 0
#define FILLING 1
#define WAITING 2
#define TAKEN 3
#define DROPPED 4
#define DONE 5
#define GIVEN_UP 7
#define IN_WORK 1
#define IN_ROOM 2
#define IN_ANSWER 3
#define FIRST_TAKER 3

byte STATE, deaths, owner;                       /* one word: FREE is 0, 0, 0 */
byte CALLER, WORK, ROOM, ANSWER; bit ENDED;      /* the other words, */
byte message, first, second;                     /* and the texts: the answer has two halves */
byte asleep[6]; bool dead[6];                    /* by ids: callers 1 and 2, takers 3 and more */
byte kills = KILLS, timeouts = TIMEOUTS, releases = RELEASES;
byte hand, item, callers = CALLERS, takers = TAKERS;   /* ghosts: who uses the slot, which item is in it, who is left */

/* Loads the word. */
inline load() { d_step { s = STATE; d = deaths; o = owner } }
/* Changes the word, if it is the one that was loaded. */
inline change(ts, td, to) {
  d_step {
    ok = STATE == s && deaths == d && owner == o;
    if :: ok -> STATE = ts; deaths = td; owner = to :: else fi
  }
}
/* The same for a rescuer. */
inline takeAway(ts, td, to) {
  if
  :: HAS(WHOLE_WORD) -> change(ts, td, to)
  :: else -> d_step { ok = STATE == s; if :: ok -> STATE = ts; deaths = td; owner = to :: else fi }
  fi
}
#if SLICES
/* A sleep may end at any moment. So nothing rests on the waking, which is left out. */
inline announce(word) { skip }
inline sleep(word, where) { skip }
inline sleepAndNote(word, where) { wasWoken = true }
inline wakeOne(where) { skip }
inline advanceOne(word, where) { skip }
inline advance(word, where) { skip }
#else
/* EventCount: announce(), sleep(), advance(1), advance(), handOn() */
inline announce(word) { d_step { word = word | 1; turn = word } }
inline sleep(word, where) {
  atomic { if :: word == turn -> asleep[me] = where :: else fi };
  asleep[me] == 0
}
/* Notes whether it was woken: not if it saw by itself that the turn is over. */
inline sleepAndNote(word, where) {
  atomic { wasWoken = word == turn; if :: wasWoken -> asleep[me] = where :: else fi };
  asleep[me] == 0
}
inline wakeOne(where) {
  atomic {
    if
    :: asleep[1] == where -> asleep[1] = 0
    :: asleep[2] == where -> asleep[2] = 0
    :: asleep[3] == where -> asleep[3] = 0
    :: asleep[4] == where -> asleep[4] = 0
    :: asleep[1] != where && asleep[2] != where && asleep[3] != where && asleep[4] != where
    fi
  }
}
inline wakeAll(where) {
  d_step {
    if :: asleep[1] == where -> asleep[1] = 0 :: else fi;
    if :: asleep[2] == where -> asleep[2] = 0 :: else fi;
    if :: asleep[3] == where -> asleep[3] = 0 :: else fi;
    if :: asleep[4] == where -> asleep[4] = 0 :: else fi
  }
}
inline advanceOne(word, where) { if :: atomic { word & 1 -> word++ }; wakeOne(where) :: else fi }
inline advance(word, where) { if :: atomic { word & 1 -> word++ }; wakeAll(where) :: else fi }
#endif
/* Whether something is left: #finished() */
inline finished() {
  if
  :: !ENDED
  :: ENDED && (STATE == FILLING || STATE == WAITING || STATE == TAKEN)
  :: ENDED && STATE != FILLING && STATE != WAITING && STATE != TAKEN -> advance(WORK, IN_WORK)
  fi
}
#if KILLS == 0
#define IS_DEAD(id) (!HAS(WITNESS) && id != 0 && id != me)
#else
#define IS_DEAD(id) (id != 0 && id != me && (dead[id] || !HAS(WITNESS)))
#endif
/* Takes the slot away from the dead owner of the word that was loaded: #rescue(), #giveBack() */
inline rescue() {
  if
  :: s == TAKEN ->
     c = CALLER;
     if
     :: d + 1 < ATTEMPTS -> takeAway(WAITING, d + 1, c); if :: ok -> advanceOne(WORK, IN_WORK) :: else fi
     :: else -> takeAway(GIVEN_UP, d + 1, c); if :: ok -> advance(ANSWER, IN_ANSWER); finished() :: else fi
     fi
  :: else -> takeAway(FREE, 0, 0); if :: ok -> advanceOne(ROOM, IN_ROOM); finished() :: else fi
  fi
}
/* What was loaded is of no use any more: fewer states. */
inline forget() { d_step { s = 0; d = 0; o = 0; c = 0; turn = 0; ok = false; wasEnded = false } }
/* The slot is used by one at a time. */
inline enter() { atomic { assert(hand == 0); hand = me } }
inline leave() { atomic { assert(hand == me); hand = 0 } }

proctype caller(byte me) {
  byte s, d, o, c, turn, i; bool ok, wasEnded;
  {
    do
    :: i == ITEMS -> break
    :: i < ITEMS ->
       do                                                                     /* #claim(), or sleep in ROOM */
       :: forget();
          if :: HAS(LOOK_AGAIN) -> announce(ROOM) :: else fi;
          wasEnded = ENDED;
          if :: wasEnded -> goto finish :: else fi;
          load();
          if
          :: IS_DEAD(o) -> rescue()
          :: s == FREE -> change(FILLING, 0, me); if :: ok -> break :: else fi
          :: s != FREE && !IS_DEAD(o) -> if :: HAS(LOOK_AGAIN) :: else -> announce(ROOM) fi; sleep(ROOM, IN_ROOM)
          fi
       od;
       if :: HAS(CLAIM_FIRST) -> wasEnded = ENDED :: else fi;
       s = FILLING; d = 0; o = me;
       if
       :: wasEnded -> change(FREE, 0, 0); assert(ok); advanceOne(ROOM, IN_ROOM); finished(); goto finish
       :: else
       fi;
       enter(); message = 10 * me + i; leave();
       CALLER = me; item = 10 * me + i;
       change(WAITING, 0, me); assert(ok);                                    /* #publish() */
       advanceOne(WORK, IN_WORK);
       do                                                                     /* #awaitAnswer() */
       :: forget();
          announce(ANSWER);
          load();
          assert(s >= DONE || s == WAITING || s == TAKEN);
          if
          :: IS_DEAD(o) -> rescue()
          :: s >= DONE && !IS_DEAD(o) -> assert(o == me);
             if :: s == DONE -> assert(first == second && first == 10 * me + i) :: else -> assert(d >= ATTEMPTS) fi;
             change(FREE, 0, 0); assert(ok); advanceOne(ROOM, IN_ROOM); finished(); break
          :: s == WAITING && timeouts > 0 -> timeouts--; change(FREE, 0, 0);
             if :: ok -> advanceOne(ROOM, IN_ROOM); finished(); break :: else fi
          :: s == TAKEN && timeouts > 0 -> timeouts--;
             if :: HAS(DROP) -> change(DROPPED, d, o) :: else -> change(FREE, 0, 0) fi;
             if :: ok -> finished(); break :: else fi
          :: s < DONE && !IS_DEAD(o) -> sleep(ANSWER, IN_ANSWER)
          fi
       od;
       i++; forget()
    od;
finish:
    atomic { forget(); callers-- }
  } unless { dead[me] }
}

proctype taker(byte me) {
  byte s, d, o, c, turn, k; bool ok, wasEnded, wasWoken;
  {
    do
    :: forget();
       if :: HAS(LOOK_AGAIN) -> announce(WORK) :: else fi;                     /* #workLook() */
       if :: HAS(ENDED_FIRST) -> wasEnded = ENDED :: else fi;
       load();
       if
       :: IS_DEAD(o) -> rescue()
       :: s == WAITING && !IS_DEAD(o) -> c = o; change(TAKEN, d, me);          /* #tryTake() */
          if
          :: ok ->
             if :: HAS(HAND_ON) && wasWoken -> wakeOne(IN_WORK) :: else fi;
             wasWoken = false; s = TAKEN; o = me;
             enter(); k = message; assert(k == item); turn = 0;
             if
             :: releases > 0 -> releases--; k = 0; leave(); change(WAITING, d, c);     /* letGo() */
                if :: ok -> advanceOne(WORK, IN_WORK) :: else -> goto dropped fi
             :: true ->                                                        /* complete() */
                if
                :: IS_DEAD(c) -> k = 0; leave(); change(DROPPED, d, me);       /* isWanted() */
                   if :: ok -> finished() :: else fi; goto dropped
                :: else
                fi;
                if :: HAS(TWO_AREAS) :: else -> message = 99 fi;
                first = k; second = k; k = 0; leave();
                change(DONE, d, c);
                if :: ok -> advance(ANSWER, IN_ANSWER); finished() :: else -> goto dropped fi
             fi;
             if :: ONCE -> break :: else fi;
             goto next;
dropped:     s = DROPPED; change(FREE, 0, 0); assert(ok); advanceOne(ROOM, IN_ROOM); finished();
next:        skip
          :: else
          fi
       :: s != WAITING && !IS_DEAD(o) ->
          if :: HAS(ENDED_FIRST) :: else -> wasEnded = ENDED fi;
          if
          :: wasEnded && s != FILLING && s != TAKEN ->
             if :: HAS(HAND_ON) && wasWoken -> wakeOne(IN_WORK) :: else fi;
             break
          :: else ->
             if :: HAS(LOOK_AGAIN) :: else -> announce(WORK) fi;
             sleepAndNote(WORK, IN_WORK)
          fi
       fi
    od;
    atomic { forget(); wasWoken = false; takers-- }
  } unless { dead[me] }
}

proctype ender() {
  (callers == 0 || ENDER);
  ENDED = 1; advance(WORK, IN_WORK); advance(ROOM, IN_ROOM); finished()
}

#if KILLS > 0
active proctype killer() {
  do
  :: atomic { kills > 0 && !dead[FIRST_TAKER] -> kills--; dead[FIRST_TAKER] = true; takers--; asleep[FIRST_TAKER] = 0;
              if :: hand == FIRST_TAKER -> hand = 0 :: else fi }
  :: atomic { kills > 0 && CALLERS > 1 && !dead[2] -> kills--; dead[2] = true; callers--; asleep[2] = 0;
              if :: hand == 2 -> hand = 0 :: else fi }
  :: break
  od
}
#endif

init {
  atomic {
    byte id = 1;
    do :: id <= CALLERS -> run caller(id); id++ :: else -> break od;
    id = FIRST_TAKER;
    do :: id < FIRST_TAKER + TAKERS -> run taker(id); id++ :: else -> break od;
    run ender()
  }
}
/* All calls are over, and all takers are told that nothing comes. */
ltl ends { <> (callers == 0 && takers == 0) }
