// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SDK_ESP_SRP_H
#define MM_SDK_ESP_SRP_H

#include <esp_err.h>

/// Lengths without a terminator. Both results are the caller's to free.
esp_err_t esp_srp_gen_salt_verifier(const char *username, int username_len, const char *pass, int pass_len,
                                    char **bytes_salt, int salt_len, char **verifier, int *verifier_len);

#endif
