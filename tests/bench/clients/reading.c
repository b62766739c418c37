#include "tests/bench/clients/reading.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const points[] = {"level", "flow", "rain", "temperature", "voltage"};

size_t reading_write(char text[READING_MAX], uint64_t number) {
  unsigned gauge = (unsigned)(number % 100) + 1, hundredths = (unsigned)(number * 7 % 100);
  return (size_t)snprintf(text, READING_MAX,
      "{\"address\":\"chongqing/cuntan/gauge-%u/%s\",\"time\":%llu,\"value\":%u.%02u,\"n\":%llu}", gauge,
      points[number / 100 % 5], 1767225600000ULL + (unsigned long long)number, 170 + (unsigned)(number % 9), hundredths,
      (unsigned long long)number);
}

void tally_init(struct tally *tally, uint64_t count) {
  *tally = (struct tally){.count = count, .seen = calloc(count + 1, 1)};
  if (!tally->seen) exit(1);
}

void tally_deinit(struct tally *tally) { free(tally->seen); }

bool tally_take(struct tally *tally, const char *text, size_t len) {
  char copy[READING_MAX + 1] = "";
  memcpy(copy, text, len < READING_MAX ? len : READING_MAX);
  const char *at = strstr(copy, "\"n\":");
  uint64_t number = at ? strtoull(at + 4, NULL, 10) : UINT64_MAX;
  if (number == 0) {
    say("ready");
    return false;
  }
  if (number > tally->count || tally->seen[number]) {
    fprintf(stderr, "a reading came twice, or was never sent: %s\n", copy);
    exit(1);
  }
  tally->seen[number] = 1;
  if (++tally->came < tally->count) return false;
  say("done");
  return true;
}

void say(const char *word) {
  printf("%s\n", word);
  fflush(stdout);
}

void wait_for_go(void) {
  for (int letter = getchar(); letter != '\n'; letter = getchar())
    if (letter == EOF) exit(1);
}

uint64_t argument(int argc, char **argv, const char *name, uint64_t otherwise) {
  for (int i = 1; i + 1 < argc; i++)
    if (strcmp(argv[i], name) == 0) return strtoull(argv[i + 1], NULL, 10);
  return otherwise;
}
