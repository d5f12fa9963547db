// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_page.h"

// EMBED_TXTFILES of the SDK makes both, and a terminator, which is no part of the page.
extern const char page_begin[] __asm__("_binary_index_html_start");
extern const char page_end[] __asm__("_binary_index_html_end");

const void *mm_esp_page(size_t *page_bytes) {
    *page_bytes = (size_t)(page_end - page_begin) - 1;
    return page_begin;
}
