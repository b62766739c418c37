/* When missing ranges are asked for, on invented time: age 30. */
#include "broker/gap_ask.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static const struct epoch E = {1, 2};

struct scene {
  struct gap_ask ask;
  struct intervals missing;
};

static void begin(struct scene *scene) {
  *scene = (struct scene){.missing = INTERVALS_NULL};
  gap_ask_init(&scene->ask, 30);
}

static void end(struct scene *scene) {
  gap_ask_deinit(&scene->ask);
  intervals_deinit(&scene->missing);
}

/* So many sequences are asked for at that time. */
static uint64_t look(struct scene *scene, int64_t now) {
  struct intervals out = INTERVALS_NULL;
  bool asks = gap_ask_look(&scene->ask, bytes_text("q/a"), E, &scene->missing, now, &out);
  uint64_t size = intervals_size(&out);
  assert_int_equal(asks, size > 0);
  intervals_deinit(&out);
  return size;
}

static void what_is_young_is_not_asked_for(void **state) {
  (void)state;
  struct scene scene;
  begin(&scene);
  intervals_add(&scene.missing, 5, 9);
  assert_int_equal(look(&scene, 100), 0);
  assert_int_equal(look(&scene, 129), 0);
  intervals_add(&scene.missing, 20, 22);
  assert_int_equal(look(&scene, 130), 5); /* 20 to 22 is new */
  end(&scene);
}

static void it_is_asked_again_ever_more_seldom(void **state) {
  (void)state;
  struct scene scene;
  begin(&scene);
  intervals_add(&scene.missing, 5, 9);
  look(&scene, 0);
  int64_t last = 30, wait = 60;
  assert_int_equal(look(&scene, 30), 5);
  for (int i = 0; i < 12; i++) {
    assert_int_equal(look(&scene, last + wait - 1), 0);
    assert_int_equal(look(&scene, last + wait), 5);
    last += wait;
    wait = wait * 2 > 3600 ? 3600 : wait * 2;
  }
  assert_int_equal(wait, 3600);
  end(&scene);
}

static void what_came_begins_anew_and_is_counted(void **state) {
  (void)state;
  struct scene scene;
  begin(&scene);
  intervals_add(&scene.missing, 1, 100);
  look(&scene, 0);
  look(&scene, 30);
  look(&scene, 90);
  assert_int_equal(look(&scene, 209), 0);
  intervals_remove(&scene.missing, 1, 40);
  assert_int_equal(look(&scene, 210), 60);
  assert_int_equal(scene.ask.answered, 40);
  assert_int_equal(look(&scene, 270), 60); /* after 60 again, not 240 */
  intervals_clear(&scene.missing);
  look(&scene, 271);
  assert_int_equal(scene.ask.answered, 100);
  assert_int_equal(scene.ask.pairs.count, 0);
  end(&scene);
}

static void where_nobody_could_be_asked_it_is_due_again(void **state) {
  (void)state;
  struct scene scene;
  begin(&scene);
  intervals_add(&scene.missing, 1, 3);
  look(&scene, 0);
  assert_int_equal(look(&scene, 30), 3);
  gap_ask_failed(&scene.ask, bytes_text("q/a"), E, 30);
  assert_int_equal(scene.ask.asked, 0);
  assert_int_equal(look(&scene, 60), 3);
  end(&scene);
}

static void what_is_remembered_is_bounded(void **state) {
  (void)state;
  struct scene scene;
  begin(&scene);
  struct intervals out = INTERVALS_NULL;
  intervals_add(&scene.missing, 1, 3);
  for (uint64_t i = 0; i < GAP_ASK_STREAMS + 10; i++)
    gap_ask_look(&scene.ask, bytes_text("q/a"), (struct epoch){i, i}, &scene.missing, 0, &out);
  assert_int_equal(scene.ask.pairs.count, GAP_ASK_STREAMS);
  end(&scene);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_young_is_not_asked_for),
      cmocka_unit_test(it_is_asked_again_ever_more_seldom),
      cmocka_unit_test(what_came_begins_anew_and_is_counted),
      cmocka_unit_test(where_nobody_could_be_asked_it_is_due_again),
      cmocka_unit_test(what_is_remembered_is_bounded),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
