// SPDX-License-Identifier: Apache-2.0
#ifndef MM_REGISTER_STORE_INTERNAL_H
#define MM_REGISTER_STORE_INTERNAL_H

#include "meshmeter/register_store.h"

// Every stored thing has the same header (docs/spec/storage.md), whatever device it is on.
typedef struct {
    uint16_t tag;
    uint8_t version;
    uint8_t index; // of a page
    uint32_t seq;
    uint16_t payload_bytes;
    uint16_t count; // of a cell
    uint32_t crc;
} mmi_store_header_t;

#define MMI_STORE_TAG_IMAGE 0x494D // "MI"
#define MMI_STORE_TAG_CELL 0x434D  // "MC"
#define MMI_STORE_TAG_PAGE 0x504D  // "MP"
#define MMI_STORE_VERSION 1
#define MMI_STORE_TAG_BYTES 2
#define MMI_STORE_READ_ATTEMPTS 2

typedef struct {
    void *bytes;
    size_t capacity;
    size_t count;
} mmi_store_buffer_t;

void mmi_store_put_header(uint8_t bytes[MM_STORE_HEADER_BYTES], const mmi_store_header_t *header);
mmi_store_header_t mmi_store_get_header(const uint8_t bytes[MM_STORE_HEADER_BYTES]);
// Checksum of the header (with its tag, without the checksum itself), to be continued over the payload.
uint32_t mmi_store_header_crc(const mmi_store_header_t *header);
uint32_t mmi_store_payload_bytes_max(uint16_t tag);

// From the FRAM, or else the flash. What cannot be read is asked for once more, and counted.
mm_err_t mmi_store_read(const mm_register_store_t *self, uint32_t address, void *bytes, size_t bytes_count);
// Write and read back: a bus that acknowledges does not say that the chip stored anything.
mm_err_t mmi_store_write(const mm_register_store_t *self, uint32_t address, const void *bytes, size_t bytes_count);
// Checksum of what stands at this address, as header is to be read; payload NULL: only that. Otherwise the checksum is
// of the very bytes in it.
mm_err_t mmi_store_payload_crc(const mm_register_store_t *self, uint32_t address, const mmi_store_header_t *header,
                               uint8_t *payload, uint32_t *crc);

mm_err_t mmi_store_fram_open(mm_register_store_t *self, mm_store_state_t *state, mmi_store_buffer_t *image,
                             mmi_store_buffer_t *cell);
mm_err_t mmi_store_fram_save(mm_register_store_t *self, const void *image, size_t image_bytes);
mm_err_t mmi_store_fram_save_cell(mm_register_store_t *self, const void *cell, size_t cell_bytes);
mm_err_t mmi_store_fram_save_page(mm_register_store_t *self, uint8_t page_index, const void *page, size_t page_bytes);
mm_err_t mmi_store_fram_load_page(const mm_register_store_t *self, uint8_t page_index, mmi_store_buffer_t *page);

mm_err_t mmi_store_log_open(mm_register_store_t *self, mm_store_state_t *state, mmi_store_buffer_t *image);
// Image or page, by tag.
mm_err_t mmi_store_log_save(mm_register_store_t *self, uint16_t tag, uint8_t index, const void *payload,
                            size_t payload_bytes);
mm_err_t mmi_store_log_load_page(const mm_register_store_t *self, uint8_t page_index, mmi_store_buffer_t *page);

#endif
