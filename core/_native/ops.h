/* The operations: one small function each. Knows nothing of threads but that a wait can be cancelled (pool.h). */
#ifndef ANYAIO_OPS_H
#define ANYAIO_OPS_H

#include "request.h"

/* Make the call: sets `value`, `out` and `error`. */
void ops_run(struct request *request);

#endif
