// SPDX-License-Identifier: Apache-2.0
#ifndef MM_LINUX_ENTROPY_H
#define MM_LINUX_ENTROPY_H

#include "meshmeter/port/entropy.h"

/// Random bytes of the kernel, good for keys. Blocks only while the kernel has not collected any since power-up.
void mm_linux_entropy(void *bytes, size_t bytes_count);
uint32_t mm_linux_entropy_u32(void);
uint64_t mm_linux_entropy_u64(void);
/// The same as a port of the core; it always has some.
mm_entropy_t mm_linux_entropy_port(void);

#endif
