// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ESP_PAGE_H
#define MM_ESP_PAGE_H

#include <stddef.h>

/// The node's own page (web/node/index.html), as the component embeds it: for mm_esp_configurator_options_t.
const void *mm_esp_page(size_t *page_bytes);

#endif
