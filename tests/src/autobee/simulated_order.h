/* simulated_order.h: the order that the peers of a simulation must end with, from their logs alone. */
#ifndef SIMULATED_ORDER_H
#define SIMULATED_ORDER_H

#include "autobee/simulated_replica.h"

/**
 * Put the nodes of all logs in order from scratch, by the plain rules of autobee.md 8 and 9: among the orders
 * that belong to some weights, the one that its own grants and witnesses give these weights. It follows from
 * the logs because nobody is removed who may still write. As replica_describe shows it, a line for each node.
 */
void
simulated_order (replica_t *peers, size_t count, ab_buf_t *out);

#endif
