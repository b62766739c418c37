/*
 * What two persons say of one command whose outcome nobody knows: a word, and another one that was signed later. In
 * persons.pml one person resolves, and has looked well; here either may be wrong, the station may not obey who said it,
 * the device may answer late after all, and whoever carries the words may keep them back, turn them round and bring
 * them again.
 *
 * Each process and inline mirrors:
 *   Broker    broker/orders_resolve.c (say: resolve, take_word), orders_decide.c (order_hear), common/command/ledger.c
 *             (hear_report: ledger_report, where the station has taken another word)
 *   Gateway   gateway/dispatch_decide.c (hear_word: dispatch_outranks; fulfil)
 *
 * Words are numbered in the order in which they were signed: 1, 2. m is the gateway's memory, g what its store holds,
 * and what it reports: a durable stream, in order.
 *
 * Checked at every move: what the station has committed never changes; where it has heard of both words before it
 * committed one, it is the later; at the broker an earlier word never takes the place of a later one, and nothing does
 * once the station has said its own; what the station took of a person stands at the broker too, once it has said so.
 *
 * Variants that must fail: FIRST_WORD (the gateway keeps the word that came first), ANY_WORD (the broker takes
 * whichever comes last), KEEP_WORD (the broker keeps its word where the station took another), NO_END (the broker takes
 * words after the station's). And, that the good ending is reached: SEE_CORRECTED.
 */
mtype = {UNKNOWN, WORD, TRUTH};

/* the broker: its ledger */
byte b = 0;            /* the word that stands; 0: unknown, or the station's own truth */
bool heard = false;    /* the station's word has come */
bool unconfirmed = false;
bool said[3];          /* a person has said it */
bool obeys[3];         /* the station obeys who said it */
bool told[3];          /* it went out to the station: from then on it may come at any time, any number of times */

/* the gateway */
byte wish = 0;  /* a word that waits for the commit under way */
byte known = 0; /* the latest word that this process has heard and obeys, until it commits one */
mtype m = UNKNOWN, g = UNKNOWN;
byte m_word = 0, g_word = 0;
bool commits = true; /* `unknown` is being committed */
byte crashes = 0;

inline say(k) {
  said[k] = true;
  if
#ifdef NO_END
  :: true ->
#else
  :: !heard && (b == 0 || unconfirmed) ->
#endif
       if
#ifdef ANY_WORD
       :: true ->
#else
       :: k > b ->
#endif
            assert(k > b);
            assert(!heard);
            b = k;
            unconfirmed = true
       :: else
       fi
  :: else
  fi
}

active proctype Broker() {
end:
  do
  :: atomic { !said[1] -> say(1) }
  :: atomic { !said[2] -> say(2) }
  :: atomic { unconfirmed && !told[b] -> told[b] = true }
  /* the station's report */
  :: atomic { g != UNKNOWN && !heard ->
       heard = true;
       if
       :: b == 0 && g == WORD -> b = g_word
#ifndef KEEP_WORD
       :: b != 0 && g == WORD -> b = g_word
#endif
       :: else /* a contradiction, where the truth is another: what was resolved stays */
       fi;
       unconfirmed = false;
       assert(g != WORD || b == g_word) }
  od
}

inline fulfil() {
  if
  :: wish != 0 && m == UNKNOWN ->
       assert(wish == known);
       m = WORD;
       m_word = wish;
       commits = true
  :: else
  fi;
  wish = 0;
  known = 0
}

inline hear_word(k) {
  if
  :: obeys[k] && m == UNKNOWN ->
       if
       :: k > known -> known = k
       :: else
       fi;
       if
#ifdef FIRST_WORD
       :: wish == 0 -> wish = k
#else
       :: wish < k -> wish = k
#endif
       :: else
       fi;
       if
       :: !commits -> fulfil()
       :: else
       fi
  :: else /* refused, or too late: how it stands is said once more */
  fi
}

active proctype Gateway() {
  if :: obeys[1] = true :: skip fi;
  if :: obeys[2] = true :: skip fi;
end:
  do
  :: atomic { told[1] -> hear_word(1) }
  :: atomic { told[2] -> hear_word(2) }
  :: atomic { commits ->
       commits = false;
       assert(g == UNKNOWN || (g == m && g_word == m_word));
       g = m;
       g_word = m_word;
#ifdef SEE_CORRECTED
       assert(!(g == WORD && g_word == 2 && told[1] && obeys[1]));
#endif
       fulfil() }
  /* the device answers late */
  :: atomic { m == UNKNOWN && !commits -> m = TRUTH; m_word = 0; commits = true }
  /* it is killed: what waited in memory is gone, and the broker tells it again */
  :: atomic { crashes < 1 -> crashes++; m = g; m_word = g_word; wish = 0; known = 0; commits = false }
  od
}
