/* A database of one: append two operations, read the view. `hello DIR` keeps it in DIR. */
#include <autobee/autobee.h>
#include <stdio.h>

int
main (int argc, char **argv) {
  ab_store_t *store;
  autobee_t *db;
  autobee_view_t *view;
  autobee_entry_t entry;
  char message[256];

  if (ab_store_open(argc > 1 ? argv[1] : NULL, NULL, &store, message, sizeof(message)) < 0)
    return fprintf(stderr, "hello: %s\n", message), 1;

  ab_slice_t operations[] = {
    ab_text("{\"put\":{\"greeting\":\"hello\",\"to\":\"world\"}}"),
    ab_text("{\"put\":{\"to\":\"all writers\"}}")};

  if (autobee_open(store, NULL, NULL, &db) < 0 || autobee_append(db, operations, 2, 0, NULL) < 0 || autobee_view(db, NULL, &view) < 0 || autobee_get(view, ab_text("to"), &entry) < 0)
    return fprintf(stderr, "hello: %s\n", ab_store_errmsg(store)), 1;

  printf("to = %.*s\n", (int) entry.value.len, (const char *) entry.value.data);
  autobee_view_close(view);
  autobee_close(db);
  return ab_store_close(store) < 0;
}
