// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/register_store.h"

#include <string.h>

#include "meshmeter/bytes.h"
#include "meshmeter/crc32.h"
#include "register_store_internal.h"

#define CHUNK_BYTES 64

// Not a table of fields: their writer needs more stack, and this is below the deepest chain of calls.
void mmi_store_put_header(uint8_t bytes[MM_STORE_HEADER_BYTES], const mmi_store_header_t *header) {
    mm_writer_t writer = mm_writer(bytes, MM_STORE_HEADER_BYTES);
    mm_put_u16(&writer, header->tag);
    mm_put_u8(&writer, header->version);
    mm_put_u8(&writer, header->index);
    mm_put_u32(&writer, header->seq);
    mm_put_u16(&writer, header->payload_bytes);
    mm_put_u16(&writer, header->count);
    mm_put_u32(&writer, header->crc);
    MM_ASSERT(!writer.failed && writer.used_bytes == MM_STORE_HEADER_BYTES);
}

mmi_store_header_t mmi_store_get_header(const uint8_t bytes[MM_STORE_HEADER_BYTES]) {
    mm_reader_t reader = mm_reader(bytes, MM_STORE_HEADER_BYTES);
    mmi_store_header_t header;
    header.tag = mm_get_u16(&reader);
    header.version = mm_get_u8(&reader);
    header.index = mm_get_u8(&reader);
    header.seq = mm_get_u32(&reader);
    header.payload_bytes = mm_get_u16(&reader);
    header.count = mm_get_u16(&reader);
    header.crc = mm_get_u32(&reader);
    return header;
}

mm_err_t mmi_store_read(const mm_register_store_t *self, uint32_t address, void *bytes, size_t bytes_count) {
    const mm_fram_t *fram = self->fram;
    const mm_flash_t *flash = self->flash;
    for (int attempt = 0; attempt < MMI_STORE_READ_ATTEMPTS; attempt++) {
        mm_err_t err = fram != NULL ? fram->read(fram->context, address, bytes, bytes_count)
                                    : flash->read(flash->context, address, bytes, bytes_count);
        if (err == MM_OK) {
            return MM_OK;
        }
        mm_counters_count(self->counters, fram != NULL ? MM_COUNTER_FRAM_ERROR : MM_COUNTER_FLASH_ERROR);
    }
    return MM_ERR_STORAGE;
}

mm_err_t mmi_store_write(const mm_register_store_t *self, uint32_t address, const void *bytes, size_t bytes_count) {
    const mm_fram_t *fram = self->fram;
    const mm_flash_t *flash = self->flash;
    mm_err_t err = fram != NULL ? fram->write(fram->context, address, bytes, bytes_count)
                                : flash->program(flash->context, address, bytes, bytes_count);
    uint8_t chunk[CHUNK_BYTES];
    for (size_t done = 0; err == MM_OK && done < bytes_count; done += CHUNK_BYTES) {
        size_t chunk_bytes = bytes_count - done < CHUNK_BYTES ? bytes_count - done : CHUNK_BYTES;
        err = mmi_store_read(self, address + (uint32_t)done, chunk, chunk_bytes);
        if (err == MM_OK && memcmp(chunk, (const uint8_t *)bytes + done, chunk_bytes) != 0) {
            err = MM_ERR_STORAGE;
        }
    }
    return err == MM_OK ? MM_OK : MM_ERR_STORAGE;
}

mm_err_t mmi_store_payload_crc(const mm_register_store_t *self, uint32_t address, const mmi_store_header_t *header,
                               uint8_t *payload, uint32_t *crc) {
    uint8_t chunk[CHUNK_BYTES];
    *crc = mmi_store_header_crc(header);
    for (uint32_t done = 0; done < header->payload_bytes; done += CHUNK_BYTES) {
        uint32_t left_bytes = header->payload_bytes - done;
        uint32_t chunk_bytes = left_bytes < CHUNK_BYTES ? left_bytes : CHUNK_BYTES;
        if (mmi_store_read(self, address + MM_STORE_HEADER_BYTES + done, chunk, chunk_bytes) != MM_OK) {
            return MM_ERR_STORAGE;
        }
        *crc = mm_crc32(*crc, chunk, chunk_bytes);
        if (payload != NULL) {
            memcpy(payload + done, chunk, chunk_bytes);
        }
    }
    return MM_OK;
}

uint32_t mmi_store_header_crc(const mmi_store_header_t *header) {
    uint8_t bytes[MM_STORE_HEADER_BYTES];
    mmi_store_put_header(bytes, header);
    return mm_crc32(0, bytes, MM_STORE_HEADER_BYTES - 4);
}

uint32_t mmi_store_payload_bytes_max(uint16_t tag) {
    switch (tag) {
    case MMI_STORE_TAG_IMAGE:
        return MM_STORE_IMAGE_BYTES_MAX;
    case MMI_STORE_TAG_CELL:
        return MM_STORE_CELL_BYTES_MAX;
    default:
        return MM_STORE_PAGE_BYTES_MAX;
    }
}

mm_err_t mm_register_store_open(mm_register_store_t *self, const mm_fram_t *fram, const mm_flash_t *flash,
                                mm_counters_t *counters, mm_store_state_t *state, void *image, size_t image_capacity,
                                size_t *image_bytes_count, void *cell, size_t cell_capacity, size_t *cell_bytes_count) {
    MM_ASSERT(fram != NULL || flash != NULL);
    memset(self, 0, sizeof *self);
    self->fram = fram;
    self->flash = flash;
    self->counters = counters;
    *state = MM_STORE_EMPTY;
    mmi_store_buffer_t image_buffer = {image, image_capacity, 0};
    mmi_store_buffer_t cell_buffer = {cell, cell_capacity, 0};
    mm_err_t err = fram != NULL ? mmi_store_fram_open(self, state, &image_buffer, &cell_buffer)
                                : mmi_store_log_open(self, state, &image_buffer);
    *image_bytes_count = err == MM_OK ? image_buffer.count : 0;
    *cell_bytes_count = err == MM_OK ? cell_buffer.count : 0;
    return err;
}

bool mm_register_store_has_cells(const mm_register_store_t *self) {
    return self->fram != NULL;
}

mm_err_t mm_register_store_save(mm_register_store_t *self, const void *image, size_t image_bytes_count) {
    MM_ASSERT(image_bytes_count >= 1 && image_bytes_count <= MM_STORE_IMAGE_BYTES_MAX);
    return self->fram != NULL ? mmi_store_fram_save(self, image, image_bytes_count)
                              : mmi_store_log_save(self, MMI_STORE_TAG_IMAGE, 0, image, image_bytes_count);
}

mm_err_t mm_register_store_save_cell(mm_register_store_t *self, const void *cell, size_t cell_bytes_count) {
    if (self->fram == NULL) {
        return MM_ERR_UNAVAILABLE;
    }
    MM_ASSERT(self->image_seq != 0 && cell_bytes_count >= 1 && cell_bytes_count <= MM_STORE_CELL_BYTES_MAX);
    return mmi_store_fram_save_cell(self, cell, cell_bytes_count);
}

mm_err_t mm_register_store_save_page(mm_register_store_t *self, uint8_t page_index, const void *page,
                                     size_t page_bytes_count) {
    MM_ASSERT(page_index < MM_STORE_PAGES && page_bytes_count >= 1 && page_bytes_count <= MM_STORE_PAGE_BYTES_MAX);
    return self->fram != NULL ? mmi_store_fram_save_page(self, page_index, page, page_bytes_count)
                              : mmi_store_log_save(self, MMI_STORE_TAG_PAGE, page_index, page, page_bytes_count);
}

mm_err_t mm_register_store_load_page(const mm_register_store_t *self, uint8_t page_index, void *page,
                                     size_t page_capacity, size_t *page_bytes_count) {
    MM_ASSERT(page_index < MM_STORE_PAGES);
    mmi_store_buffer_t buffer = {page, page_capacity, 0};
    mm_err_t err = self->fram != NULL ? mmi_store_fram_load_page(self, page_index, &buffer)
                                      : mmi_store_log_load_page(self, page_index, &buffer);
    *page_bytes_count = err == MM_OK ? buffer.count : 0;
    return err;
}
