/* See flow.c. */
#ifndef ANYAIO_FLOW_H
#define ANYAIO_FLOW_H

#include "native.h"

extern PyType_Spec flow_spec;

#endif
