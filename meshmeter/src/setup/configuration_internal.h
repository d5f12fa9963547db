// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SETUP_CONFIGURATION_INTERNAL_H
#define MM_SETUP_CONFIGURATION_INTERNAL_H

#include "meshmeter/configuration.h"

/// First byte of an encoded configuration.
#define MMI_CONFIGURATION_VERSION 2
/// Without confirmed_channels.
#define MMI_CONFIGURATION_VERSION_1 1

/// A list of problems that is not longer than it may be.
typedef struct {
    mm_field_problem_t *problems;
    size_t capacity;
    size_t count;
} mmi_problems_t;

/// A field that is a number of a struct, and what it may be.
typedef struct {
    uint8_t field; ///< mm_field_t
    uint8_t offset_bytes;
    uint8_t member_bytes; ///< 2, 4 or 8
    uint32_t lowest;
    uint32_t highest;
    const char *what; ///< is wanted
} mmi_number_t;

#define MMI_PLACE_NUMBERS 5
#define MMI_METER_NUMBERS 4
extern const mmi_number_t mmi_place_numbers[MMI_PLACE_NUMBERS]; ///< of an mm_installation_t
extern const mmi_number_t mmi_meter_numbers[MMI_METER_NUMBERS]; ///< of an mm_channel_setup_t

/// A network alone (docs/spec/configuration.md, 3). get fails the reader on one that is none.
void mmi_network_put(mm_writer_t *writer, const mm_network_t *network);
void mmi_network_get(mm_reader_t *reader, mm_network_t *network);
void mmi_problem(mmi_problems_t *self, mm_field_t field, uint8_t channel, const char *what);
/// Of a text that is bounded and plain.
bool mmi_router_password_is_good(const char *password);

#endif
