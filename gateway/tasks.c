#include "gateway/tasks.h"
#include "common/base/mem.h"
#include <stdlib.h>

void tasks_init(struct tasks *tasks, struct node *node) {
  *tasks = (struct tasks){.node = node};
  for (int i = 0; i < 2; i++) tasks->last[i] = &tasks->first[i];
}

static void task_free(struct task *task) {
  if (task->batch) store_batch_free(task->batch);
  buffer_deinit(&task->id);
  free(task);
}

void tasks_deinit(struct tasks *tasks) {
  for (int i = 0; i < 2; i++) {
    while (tasks->first[i]) {
      struct task *task = tasks->first[i];
      tasks->first[i] = task->next;
      task_free(task);
    }
    tasks->last[i] = &tasks->first[i];
  }
  while (tasks->submitted) {
    struct task *task = tasks->submitted;
    tasks->submitted = task->next;
    task_free(task);
  }
}

static void tasks_link(struct tasks *tasks, struct task *task) {
  task->previous = NULL;
  task->next = tasks->submitted;
  if (task->next) task->next->previous = task;
  tasks->submitted = task;
}

static void tasks_unlink(struct tasks *tasks, struct task *task) {
  if (task->next) task->next->previous = task->previous;
  if (task->previous)
    task->previous->next = task->next;
  else
    tasks->submitted = task->next;
}

/* false: the store's queue is full. */
static bool tasks_give(struct tasks *tasks, struct task *task) {
  if (task->kind == TASK_LOOKUP) {
    const struct store_read read = {
        .what = STORE_READ_TABLE, .table = STORE_COMMANDS, .key = buffer_bytes(&task->id), .max_bytes = 1};
    return node_read(tasks->node, &read, task) == 0;
  }
  struct store_batch *batch = task->batch;
  task->batch = NULL; /* consumed, unless it is given back */
  if (node_submit(tasks->node, batch, task) == 0) return true;
  task->batch = batch;
  return false;
}

static bool tasks_try(struct tasks *tasks, struct task *task) {
  bool given = tasks_give(tasks, task);
  if (given) tasks_link(tasks, task);
  return given;
}

static void tasks_put(struct tasks *tasks, struct task *task) {
  int which = task->kind == TASK_ORDER || task->kind == TASK_LOOKUP ? 0 : 1;
  tasks->open++;
  if (!tasks->first[which] && tasks_try(tasks, task)) return;
  *tasks->last[which] = task;
  tasks->last[which] = &task->next;
}

void tasks_submit(struct tasks *tasks, enum task_kind kind, void *cookie, struct store_batch *batch) {
  struct task *task = mem_alloc(sizeof *task);
  task->kind = kind;
  task->cookie = cookie;
  task->batch = batch;
  tasks_put(tasks, task);
}

void tasks_lookup(struct tasks *tasks, struct bytes id) {
  struct task *task = mem_alloc(sizeof *task);
  task->kind = TASK_LOOKUP;
  buffer_append(&task->id, id);
  tasks_put(tasks, task);
}

void tasks_retry(struct tasks *tasks) {
  for (int i = 0; i < 2; i++) {
    while (tasks->first[i]) {
      struct task *task = tasks->first[i];
      struct task *next = task->next;
      if (!tasks_try(tasks, task)) return; /* what is less urgent does not overtake */
      tasks->first[i] = next;
      if (!next) tasks->last[i] = &tasks->first[i];
    }
  }
}

struct task *tasks_answered(struct tasks *tasks, struct task *task) {
  tasks->open--;
  tasks_unlink(tasks, task);
  task_free(task);
  return NULL;
}
