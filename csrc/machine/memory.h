/* Memory that starts on a 64-byte line. */
#ifndef MG_MEMORY_H
#define MG_MEMORY_H

#include <stddef.h>

/* So many bytes, of no particular value; NULL where there is not so much memory. */
void *mg_memory_new(size_t bytes);
/* Frees what mg_memory_new gave, or nothing if that is NULL. */
void mg_memory_free(void *memory);

#endif
