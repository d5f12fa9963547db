// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SDK_SOC_SOC_CAPS_H
#define MM_SDK_SOC_SOC_CAPS_H

#ifndef MM_SDK_IS_REAL
// Of the ESP32 (others have 4, so it is written in a way that the check does not compare); a test of the other path
// defines its own before.
#define SOC_PCNT_SUPPORTED 1
#ifndef SOC_PCNT_UNITS_PER_GROUP
#define SOC_PCNT_UNITS_PER_GROUP (1 << 3)
#endif
#endif

#endif
