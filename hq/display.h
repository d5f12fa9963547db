// SPDX-License-Identifier: Apache-2.0
#ifndef MM_HQ_DISPLAY_H
#define MM_HQ_DISPLAY_H

#include "meshmeter/base.h"

/// Pictures of the displays of nodes on this machine (docs/guide/display.md): for the demo, where a node has no display
/// to look at. Each node writes a file of its own below one directory; its name is the MAC.

#define MM_DISPLAY_HEX_CHARS 2048
/// "026d6d000001"
#define MM_DISPLAY_NAME_CHARS 12

void mm_display_name(mm_mac_t mac, char name[MM_DISPLAY_NAME_CHARS + 1]);
/// False: there is no picture, or it is not one. Only the MAC's bytes become part of a path.
bool mm_display_read(const char *directory, mm_mac_t mac, char hex[MM_DISPLAY_HEX_CHARS + 1]);

#endif
