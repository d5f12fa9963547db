// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SDK_ESP_IDF_VERSION_H
#define MM_SDK_ESP_IDF_VERSION_H

#ifndef MM_SDK_IS_REAL
#define ESP_IDF_VERSION_VAL(major, minor, patch) (((major) << 16) | ((minor) << 8) | (patch))
// The one that these declarations were compared with.
#define ESP_IDF_VERSION ESP_IDF_VERSION_VAL(5, 5, 5)
#endif

_Static_assert(ESP_IDF_VERSION_VAL(5, 2, 7) == 0x050207, "versions are compared as numbers");

#endif
