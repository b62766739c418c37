#ifndef RIVERBUS_BENCH_READING_H
#define RIVERBUS_BENCH_READING_H
/* Readings as a program without riverbus would send them: some 100 bytes of JSON, numbered; and what both clients of
 * the peers do alike. A number says whether each came once. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { READING_MAX = 160 };

/* Writes reading `number`; returns its length. */
size_t reading_write(char text[READING_MAX], uint64_t number);

struct tally {
  uint64_t count, came;
  uint8_t *seen;
};
void tally_init(struct tally *tally, uint64_t count); /* numbers 1 to count */
void tally_deinit(struct tally *tally);
/* One came. Ends the process where it came before or is none. Says "ready" at number 0, which goes ahead to see that
 * the way is open, and "done" when all are here. True: all are here. */
bool tally_take(struct tally *tally, const char *text, size_t len);

void say(const char *word);
void wait_for_go(void); /* a line on standard input */
uint64_t argument(int argc, char **argv, const char *name, uint64_t otherwise);
#endif
