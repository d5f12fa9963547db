// SPDX-License-Identifier: Apache-2.0
#include "linux_mesh_wire.h"

#include <mbedtls/sha256.h>
#include <string.h>

#include "meshmeter/bytes.h"

#define MAGIC 0x4D554D4DU // "MMUM"
#define VERSION 1
#define SHA256_BYTES 32

static mm_err_t keyed_digest(const uint8_t *key, size_t key_bytes, const char *purpose, const char *mesh_id,
                             uint8_t digest[SHA256_BYTES]) {
    mbedtls_md_context_t context;
    mbedtls_md_init(&context);
    bool good = mbedtls_md_setup(&context, mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), 1) == 0 &&
                mbedtls_md_hmac_starts(&context, key, key_bytes) == 0 &&
                mbedtls_md_hmac_update(&context, (const unsigned char *)purpose, strlen(purpose)) == 0 &&
                mbedtls_md_hmac_update(&context, (const unsigned char *)mesh_id, strlen(mesh_id)) == 0 &&
                mbedtls_md_hmac_finish(&context, digest) == 0;
    mbedtls_md_free(&context);
    return good ? MM_OK : MM_ERR_FULL;
}

static mm_err_t plain_digest(const char *purpose, const char *mesh_id, uint8_t digest[SHA256_BYTES]) {
    mbedtls_md_context_t context;
    mbedtls_md_init(&context);
    bool good = mbedtls_md_setup(&context, mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), 0) == 0 &&
                mbedtls_md_starts(&context) == 0 &&
                mbedtls_md_update(&context, (const unsigned char *)purpose, strlen(purpose)) == 0 &&
                mbedtls_md_update(&context, (const unsigned char *)mesh_id, strlen(mesh_id)) == 0 &&
                mbedtls_md_finish(&context, digest) == 0;
    mbedtls_md_free(&context);
    return good ? MM_OK : MM_ERR_FULL;
}

mm_err_t mm_mesh_seal_open(mm_mesh_seal_t *self, const char *mesh_id, const uint8_t key[MM_MESH_KEY_BYTES]) {
    uint8_t digest[SHA256_BYTES];
    mbedtls_md_init(&self->hmac);
    mm_err_t err = plain_digest("meshmeter mesh ", mesh_id, digest);
    if (err == MM_OK) {
        memcpy(self->hash, digest, sizeof self->hash);
        err = keyed_digest(key, MM_MESH_KEY_BYTES, "meshmeter link ", mesh_id, digest);
    }
    if (err == MM_OK && (mbedtls_md_setup(&self->hmac, mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), 1) != 0 ||
                         mbedtls_md_hmac_starts(&self->hmac, digest, sizeof digest) != 0)) {
        err = MM_ERR_FULL;
    }
    return err;
}

void mm_mesh_seal_close(mm_mesh_seal_t *self) {
    mbedtls_md_free(&self->hmac);
}

static void make_tag(mm_mesh_seal_t *seal, const uint8_t *bytes, size_t bytes_count, uint8_t digest[SHA256_BYTES]) {
    // None of them can fail with a context that is set up.
    int failed = mbedtls_md_hmac_reset(&seal->hmac);
    failed |= mbedtls_md_hmac_update(&seal->hmac, bytes, bytes_count);
    failed |= mbedtls_md_hmac_finish(&seal->hmac, digest);
    MM_ASSERT(failed == 0);
}

size_t mm_mesh_datagram_write(mm_mesh_seal_t *seal, const mm_mesh_datagram_t *datagram, uint8_t *bytes) {
    MM_ASSERT(datagram->body_bytes <= MM_MESH_FRAME_BYTES_MAX);
    mm_writer_t writer = mm_writer(bytes, MM_MESH_DATAGRAM_BYTES_MAX);
    mm_put_u32(&writer, MAGIC);
    mm_put_u8(&writer, VERSION);
    mm_put_u8(&writer, (uint8_t)datagram->kind);
    mm_put_bytes(&writer, seal->hash, sizeof seal->hash);
    mm_put_mac(&writer, datagram->from);
    mm_put_mac(&writer, datagram->to);
    mm_put_u64(&writer, datagram->boot);
    mm_put_u64(&writer, datagram->to_boot);
    mm_put_u64(&writer, datagram->counter);
    mm_put_bytes(&writer, datagram->body, datagram->body_bytes);
    uint8_t digest[SHA256_BYTES];
    make_tag(seal, bytes, writer.used_bytes, digest);
    mm_put_bytes(&writer, digest, MM_MESH_TAG_BYTES);
    MM_ASSERT(!writer.failed);
    return writer.used_bytes;
}

// Takes the same time wherever the difference is.
static bool tags_equal(const uint8_t *left, const uint8_t *right) {
    uint8_t difference = 0;
    for (size_t i = 0; i < MM_MESH_TAG_BYTES; i++) {
        difference = (uint8_t)(difference | (left[i] ^ right[i]));
    }
    return difference == 0;
}

mm_mesh_verdict_t mm_mesh_datagram_read(mm_mesh_seal_t *seal, const uint8_t *bytes, size_t bytes_count,
                                        mm_mesh_datagram_t *datagram) {
    if (bytes_count < MM_MESH_HEADER_BYTES + MM_MESH_TAG_BYTES || bytes_count > MM_MESH_DATAGRAM_BYTES_MAX) {
        return MM_MESH_MALFORMED;
    }
    mm_reader_t reader = mm_reader(bytes, bytes_count);
    if (mm_get_u32(&reader) != MAGIC) {
        return MM_MESH_MALFORMED;
    }
    if (mm_get_u8(&reader) != VERSION) {
        return MM_MESH_VERSION;
    }
    uint8_t kind = mm_get_u8(&reader);
    const uint8_t *hash = mm_get_view(&reader, MM_MESH_HASH_BYTES);
    if (memcmp(hash, seal->hash, MM_MESH_HASH_BYTES) != 0) {
        return MM_MESH_FOREIGN;
    }
    uint8_t digest[SHA256_BYTES];
    make_tag(seal, bytes, bytes_count - MM_MESH_TAG_BYTES, digest);
    if (!tags_equal(digest, bytes + bytes_count - MM_MESH_TAG_BYTES)) {
        return MM_MESH_TAG;
    }
    if (kind < MM_MESH_DATAGRAM_HELLO || kind > MM_MESH_DATAGRAM_GOODBYE) {
        return MM_MESH_MALFORMED;
    }
    datagram->kind = (mm_mesh_datagram_kind_t)kind;
    datagram->from = mm_get_mac(&reader);
    datagram->to = mm_get_mac(&reader);
    datagram->boot = mm_get_u64(&reader);
    datagram->to_boot = mm_get_u64(&reader);
    datagram->counter = mm_get_u64(&reader);
    datagram->body_bytes = mm_reader_left_bytes(&reader) - MM_MESH_TAG_BYTES;
    datagram->body = mm_get_view(&reader, datagram->body_bytes);
    MM_ASSERT(!reader.failed);
    return MM_MESH_GOOD;
}

#define FLAG_ROUTER_UP 1U
#define FLAG_IS_ROOT 2U

void mm_mesh_hello_write(const mm_mesh_hello_t *hello, uint8_t bytes[MM_MESH_HELLO_BYTES]) {
    mm_writer_t writer = mm_writer(bytes, MM_MESH_HELLO_BYTES);
    mm_put_u8(&writer, (uint8_t)((hello->router_up ? FLAG_ROUTER_UP : 0) | (hello->is_root ? FLAG_IS_ROOT : 0)));
    mm_put_u8(&writer, hello->layer);
    mm_put_mac(&writer, hello->root);
    mm_put_u64(&writer, hello->uptime_ms);
    MM_ASSERT(!writer.failed && writer.used_bytes == MM_MESH_HELLO_BYTES);
}

bool mm_mesh_hello_read(const uint8_t *bytes, size_t bytes_count, mm_mesh_hello_t *hello) {
    mm_reader_t reader = mm_reader(bytes, bytes_count);
    uint8_t flags = mm_get_u8(&reader);
    hello->router_up = (flags & FLAG_ROUTER_UP) != 0;
    hello->is_root = (flags & FLAG_IS_ROOT) != 0;
    hello->layer = mm_get_u8(&reader);
    hello->root = mm_get_mac(&reader);
    hello->uptime_ms = mm_get_u64(&reader);
    return !reader.failed;
}

bool mm_mesh_window_take(mm_mesh_window_t *self, uint64_t counter) {
    if (counter > self->highest) {
        uint64_t distance = counter - self->highest;
        self->seen = distance < 64 ? self->seen << distance : 0;
        self->seen |= 1;
        self->highest = counter;
        return true;
    }
    uint64_t age = self->highest - counter;
    if (counter == 0 || age >= 64 || (self->seen >> age & 1) != 0) {
        return false;
    }
    self->seen |= (uint64_t)1 << age;
    return true;
}
