// SPDX-License-Identifier: Apache-2.0
// The form of a network, as it comes from a phone. Either a field that is wrong is named and nothing is left of the
// others, or every text is plain and bounded; then mm_network_check says the rest.
#include "meshmeter/network_form.h"

#include <string.h>

#include "meshmeter/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_good(const mm_network_t *network) {
    MM_ASSERT(network->revision > 0);
    MM_ASSERT(network->site[0] != '\0' && mm_text_is_plain_string(network->site, sizeof network->site));
    MM_ASSERT(network->broker.url[0] != '\0');
    MM_ASSERT(mm_text_is_plain_string(network->broker.url, sizeof network->broker.url));
    MM_ASSERT(mm_text_is_plain_string(network->broker.user, sizeof network->broker.user));
    MM_ASSERT(mm_text_is_plain_string(network->broker.password, sizeof network->broker.password));
    MM_ASSERT(mm_text_is_plain_string(network->router.ssid, sizeof network->router.ssid));
    MM_ASSERT(mm_text_is_plain_string(network->router.password, sizeof network->router.password));
    mm_err_t err = mm_network_check(network);
    MM_ASSERT(err == MM_OK || err == MM_ERR_ARG);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const mm_network_t none;
    mm_form_t form;
    mm_network_t network;
    memset(&network, 0x5A, sizeof network);
    bool is_form = mm_form_open(&form, (const char *)data, size) == MM_OK;
    const char *wrong = mm_network_form_read(&form, &network);
    MM_ASSERT(is_form || wrong != NULL);
    if (wrong == NULL) {
        check_good(&network);
    } else {
        MM_ASSERT(memcmp(&network, &none, sizeof network) == 0);
    }
    return 0;
}
