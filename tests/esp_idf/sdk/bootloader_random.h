// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SDK_BOOTLOADER_RANDOM_H
#define MM_SDK_BOOTLOADER_RANDOM_H

void bootloader_random_enable(void);
void bootloader_random_disable(void);

#endif
