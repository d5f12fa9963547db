// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SDK_PROTOCOMM_SECURITY2_H
#define MM_SDK_PROTOCOMM_SECURITY2_H

#include <protocomm_security.h>

/// SRP6a, then AES-GCM.
extern const protocomm_security_t protocomm_security2;

#endif
