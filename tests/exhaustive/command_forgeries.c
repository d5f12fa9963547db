// SPDX-License-Identifier: Apache-2.0
// Forged commands. Authentic ones of every kind, sealed for one device, are changed in every way that is listed below,
// and go through what that device does with bytes that claim to be a command: they are decoded, must be for it, and
// their tag is compared. Nothing that was not sealed for this device with its key may come through.
//
// Every single bit and every pair of bits of each command; each byte at each value; every truncation and extension, as
// it is and with the length of the body to match; each head of one with each tail of another; all 256 mixtures of the
// fields of any two, with the tag of either; each command under keys that differ in one or two bits, under those of
// other devices, and under none; tags that are parts of the right one, or made over other bytes; commands of other
// devices, as they are and with the address changed; and seeded mutations.
#include <mbedtls/md.h>

#include "enumeration.h"
#include "meshmeter/command.h"
#include "meshmeter/command_body.h"
#include "meshmeter/random.h"

#define KEY_BYTES 32
#define GENUINE_MAX 32
#define FIELD_COUNT 8
#define MUTATIONS 200000
#define MUTATIONS_IN_A_CASE 1000
#define RANDOM_TAGS 40000
#define PREFIX "meshmeter command 1"

// A device's key, prepared once: most of the time of this program goes into hashes.
typedef struct {
    mbedtls_md_context_t hmac;
} device_t;

typedef struct {
    uint8_t bytes[MM_COMMAND_BYTES_MAX];
    size_t bytes_count;
} sealed_t;

static const mm_mac_t s_target = {{0x24, 0x0A, 0xC4, 0x01, 0x02, 0x03}};
static const mm_mac_t s_other = {{0x24, 0x0A, 0xC4, 0x01, 0x02, 0x04}};
static uint8_t s_target_key[KEY_BYTES];
static device_t s_device;       // the target
static device_t s_other_device; // somebody else's
static sealed_t s_genuine[GENUINE_MAX];
static size_t s_genuine_count;

static struct {
    uint64_t forged;    // tried
    uint64_t undecoded; // refused by their bounds
    uint64_t foreign;   // not for the target
    uint64_t tag_wrong; // reached the comparison of the tag
    uint64_t unchanged; // a change that gave an authentic command again
    uint64_t accepted;  // must stay 0
} s_totals;

// Devices

static mm_err_t hmac_of(void *context, const void *bytes, size_t bytes_count, uint8_t mac[MM_HMAC_BYTES]) {
    device_t *device = context;
    int error = mbedtls_md_hmac_reset(&device->hmac);
    error = error != 0 ? error : mbedtls_md_hmac_update(&device->hmac, bytes, bytes_count);
    error = error != 0 ? error : mbedtls_md_hmac_finish(&device->hmac, mac);
    MM_ASSERT(error == 0);
    return MM_OK;
}

static mm_crypto_t crypto_of(device_t *device) {
    return (mm_crypto_t){.device_hmac = hmac_of, .context = device};
}

static void device_open(device_t *device, const uint8_t key[KEY_BYTES]) {
    mbedtls_md_init(&device->hmac);
    int error = mbedtls_md_setup(&device->hmac, mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), 1);
    error = error != 0 ? error : mbedtls_md_hmac_starts(&device->hmac, key, KEY_BYTES);
    MM_ASSERT(error == 0);
}

// What the device does with bytes.

static bool is_genuine(const uint8_t *bytes, size_t bytes_count) {
    for (size_t index = 0; index < s_genuine_count; index++) {
        if (s_genuine[index].bytes_count == bytes_count && memcmp(s_genuine[index].bytes, bytes, bytes_count) == 0) {
            return true;
        }
    }
    return false;
}

static void try_forgery(const uint8_t *bytes, size_t bytes_count) {
    s_totals.forged++;
    mm_command_t command;
    if (mm_command_read(bytes, bytes_count, &command) != MM_OK) {
        s_totals.undecoded++;
    } else if (!mm_mac_equal(command.node, s_target)) {
        s_totals.foreign++;
    } else {
        const mm_crypto_t crypto = crypto_of(&s_device);
        mm_err_t err = mm_command_verify(bytes, bytes_count, &crypto);
        if (err == MM_ERR_CORRUPT) {
            s_totals.tag_wrong++;
        } else if (err == MM_OK && is_genuine(bytes, bytes_count)) {
            s_totals.forged--;
            s_totals.unchanged++;
        } else {
            s_totals.accepted++;
            MM_ASSERT(err == MM_ERR_CORRUPT); // fails: a forged command was accepted
        }
    }
}

static void tag_with(device_t *device, const char *prefix, uint8_t *bytes, size_t bytes_count) {
    uint8_t covered[sizeof PREFIX + MM_COMMAND_BYTES_MAX];
    size_t prefix_bytes = strlen(prefix);
    MM_ASSERT(prefix_bytes < sizeof PREFIX && bytes_count <= MM_COMMAND_BYTES_MAX);
    memcpy(covered, prefix, prefix_bytes);
    memcpy(covered + prefix_bytes, bytes, bytes_count - MM_COMMAND_TAG_BYTES);
    uint8_t mac[MM_HMAC_BYTES];
    (void)hmac_of(device, covered, prefix_bytes + bytes_count - MM_COMMAND_TAG_BYTES, mac);
    memcpy(bytes + bytes_count - MM_COMMAND_TAG_BYTES, mac, MM_COMMAND_TAG_BYTES);
}

// Authentic commands

static void add_genuine(uint8_t kind, const mm_command_body_t *body) {
    MM_ASSERT(s_genuine_count < GENUINE_MAX);
    uint8_t body_bytes[MM_COMMAND_BODY_BYTES_MAX];
    mm_writer_t writer = mm_writer(body_bytes, sizeof body_bytes);
    MM_ASSERT(mm_command_body_put(kind, body, &writer) == MM_OK);
    uint32_t number = (uint32_t)s_genuine_count;
    mm_command_t command = {.node = s_target,
                            .era = 0xA1B2C3D4,
                            .counter = 100 + number,
                            .id = 4711 + number,
                            .not_after_s = number % 2 == 0 ? 0 : 1750000000 + number,
                            .kind = kind,
                            .channel = (uint8_t)(mm_command_is_for_meter(kind) ? number % MM_CHANNELS : 0xFF),
                            .body_bytes = (uint8_t)writer.used_bytes,
                            .body = body_bytes};
    sealed_t *sealed = &s_genuine[s_genuine_count++];
    const mm_crypto_t crypto = crypto_of(&s_device);
    sealed->bytes_count = mm_command_seal(sealed->bytes, sizeof sealed->bytes, &command, &crypto);
    MM_ASSERT(sealed->bytes_count > 0);
    MM_ASSERT(mm_command_verify(sealed->bytes, sealed->bytes_count, &crypto) == MM_OK);
}

static void make_genuine(void) {
    for (uint8_t kind = 1; kind < MM_COMMAND_KIND_COUNT; kind++) {
        if (mm_command_body_is_empty(kind)) {
            add_genuine(kind, NULL);
        }
    }
    add_genuine(MM_COMMAND_UPDATE,
                &(mm_command_body_t){.update = {true, true, true, true, "MT0000000001", 1000, 5, 7}});
    add_genuine(MM_COMMAND_UPDATE, &(mm_command_body_t){.update = {.has_pulse_constant = true, .pulse_constant = 800}});
    add_genuine(MM_COMMAND_FORMAT, &(mm_command_body_t){.format = {123456}});
    add_genuine(MM_COMMAND_NETWORK, &(mm_command_body_t){.network = {"house", "secret pass"}});
    add_genuine(MM_COMMAND_BROKER, &(mm_command_body_t){.broker = {"mqtts://broker.example", "user", "pass"}});
    add_genuine(MM_COMMAND_SLOT_PLAN, &(mm_command_body_t){.slot_plan = {249, 250}});
    add_genuine(MM_COMMAND_DISPLAY_ON, &(mm_command_body_t){.seconds = {60}});
    add_genuine(MM_COMMAND_FIND, &(mm_command_body_t){.seconds = {60}});
    add_genuine(MM_COMMAND_CREDIT, &(mm_command_body_t){.credit = {99, 12, 5000}});
    add_genuine(MM_COMMAND_CREDIT, &(mm_command_body_t){.credit = {100, 14, 50000}});
    add_genuine(MM_COMMAND_VOID, &(mm_command_body_t){.credit = {99, 12, 0}});
    add_genuine(MM_COMMAND_ADJUST, &(mm_command_body_t){.credit = {101, 16, -5000}});
    add_genuine(MM_COMMAND_LIMITS, &(mm_command_body_t){.limits = {2000, 1000, 0xE00000, 0x41}});
    add_genuine(MM_COMMAND_CONFIRM, &(mm_command_body_t){.confirm = {3}});
    add_genuine(MM_COMMAND_MODE, &(mm_command_body_t){.mode = {.prepaid = true}});
    add_genuine(MM_COMMAND_OTA_URL, &(mm_command_body_t){.ota_url = {"https://firmware.example/node.bin"}});
    mm_command_body_t longest = {0};
    memset(longest.ota_url.url, 'u', MM_COMMAND_BODY_BYTES_MAX);
    add_genuine(MM_COMMAND_OTA_URL, &longest);
}

// The ways. Each case is one of them, at one place.

typedef struct {
    size_t command;
    size_t place;
} case_t;

// The bit at `place` alone, and with each one behind it.
static void flip_bits(const void *parameter) {
    const case_t *at = parameter;
    sealed_t forged = s_genuine[at->command];
    forged.bytes[at->place / 8] ^= (uint8_t)(1u << (at->place % 8));
    try_forgery(forged.bytes, forged.bytes_count);
    for (size_t second = at->place + 1; second < forged.bytes_count * 8; second++) {
        forged.bytes[second / 8] ^= (uint8_t)(1u << (second % 8));
        try_forgery(forged.bytes, forged.bytes_count);
        forged.bytes[second / 8] ^= (uint8_t)(1u << (second % 8));
    }
}

static void set_byte(const void *parameter) {
    const case_t *at = parameter;
    sealed_t forged = s_genuine[at->command];
    for (unsigned difference = 1; difference <= UINT8_MAX; difference++) {
        forged.bytes[at->place] = (uint8_t)(s_genuine[at->command].bytes[at->place] ^ difference);
        try_forgery(forged.bytes, forged.bytes_count);
    }
}

// To the length `place`: cut or filled up at the end; and with the tag kept at the end and the body made that long.
static void change_length(const void *parameter) {
    const case_t *at = parameter;
    const sealed_t *genuine = &s_genuine[at->command];
    uint8_t bytes[MM_COMMAND_BYTES_MAX + 8];
    static const uint8_t fills[] = {0x00, 0xFF, 0x80, 0x01};
    for (size_t fill = 0; fill < sizeof fills; fill++) {
        memset(bytes, fills[fill], sizeof bytes);
        size_t kept = genuine->bytes_count < at->place ? genuine->bytes_count : at->place;
        memcpy(bytes, genuine->bytes, kept);
        try_forgery(bytes, at->place);
        if (at->place < MM_COMMAND_HEADER_BYTES + MM_COMMAND_TAG_BYTES) {
            continue;
        }
        size_t tag_at = at->place - MM_COMMAND_TAG_BYTES;
        memset(bytes, fills[fill], sizeof bytes);
        size_t covered = genuine->bytes_count - MM_COMMAND_TAG_BYTES;
        memcpy(bytes, genuine->bytes, covered < tag_at ? covered : tag_at);
        memcpy(bytes + tag_at, genuine->bytes + covered, MM_COMMAND_TAG_BYTES);
        bytes[MM_COMMAND_HEADER_BYTES - 1] = (uint8_t)(tag_at - MM_COMMAND_HEADER_BYTES);
        try_forgery(bytes, at->place);
    }
}

// The head of the command up to each byte, then another one from each byte on.
static void splice(const void *parameter) {
    const case_t *at = parameter;
    const sealed_t *head = &s_genuine[at->command];
    const sealed_t *tail = &s_genuine[at->place];
    uint8_t bytes[2 * MM_COMMAND_BYTES_MAX];
    for (size_t head_bytes = 0; head_bytes <= head->bytes_count; head_bytes++) {
        memcpy(bytes, head->bytes, head_bytes);
        if (head_bytes <= tail->bytes_count) { // at the same distance from the beginning
            memcpy(bytes + head_bytes, tail->bytes + head_bytes, tail->bytes_count - head_bytes);
            try_forgery(bytes, tail->bytes_count);
        }
        for (size_t tail_bytes = 0; tail_bytes <= MM_COMMAND_TAG_BYTES; tail_bytes++) {
            memcpy(bytes + head_bytes, tail->bytes + tail->bytes_count - tail_bytes, tail_bytes);
            try_forgery(bytes, head_bytes + tail_bytes);
        }
    }
}

// Every mixture of the fields of two commands, with the tag of either.
static void mix_fields(const void *parameter) {
    static const uint8_t ends[FIELD_COUNT - 1] = {6,  10, 14, 22,
                                                  27, 28, 29}; // the last field is the body with its length
    const case_t *at = parameter;
    const sealed_t *sources[2] = {&s_genuine[at->command], &s_genuine[at->place]};
    for (unsigned mixture = 0; mixture < (1u << FIELD_COUNT); mixture++) {
        uint8_t bytes[MM_COMMAND_BYTES_MAX];
        size_t used = 0;
        for (size_t field = 0; field < FIELD_COUNT; field++) {
            const sealed_t *source = sources[mixture >> field & 1];
            size_t end = field < FIELD_COUNT - 1 ? ends[field] : source->bytes_count - MM_COMMAND_TAG_BYTES;
            memcpy(bytes + used, source->bytes + used, end - used);
            used = end;
        }
        for (size_t tag = 0; tag < 2; tag++) {
            memcpy(bytes + used, sources[tag]->bytes + sources[tag]->bytes_count - MM_COMMAND_TAG_BYTES,
                   MM_COMMAND_TAG_BYTES);
            try_forgery(bytes, used + MM_COMMAND_TAG_BYTES);
        }
    }
}

// All commands under the device's key with the bit at `place` turned, and with each other bit as well; behind the last
// bit: under random keys.
static void seal_with_other_key(const void *parameter) {
    const case_t *at = parameter;
    mm_random_t random = mm_random(1 + at->place);
    for (size_t second = at->place; second < KEY_BYTES * 8; second++) {
        uint8_t key[KEY_BYTES];
        memcpy(key, s_target_key, sizeof key);
        key[at->place / 8] ^= (uint8_t)(1u << (at->place % 8));
        if (second != at->place) {
            key[second / 8] ^= (uint8_t)(1u << (second % 8));
        }
        if (mm_random_below(&random, 8) == 0) {
            for (size_t index = 0; index < sizeof key; index++) {
                key[index] = (uint8_t)mm_random_u32(&random);
            }
        }
        device_t device;
        device_open(&device, key);
        for (size_t index = 0; index < s_genuine_count; index++) {
            sealed_t forged = s_genuine[index];
            tag_with(&device, PREFIX, forged.bytes, forged.bytes_count);
            try_forgery(forged.bytes, forged.bytes_count);
        }
        mbedtls_md_free(&device.hmac);
    }
}

// Tags that somebody may think of.
static void forge_tag(const void *parameter) {
    const case_t *at = parameter;
    const sealed_t *genuine = &s_genuine[at->command];
    sealed_t forged = *genuine;
    uint8_t *tag = forged.bytes + forged.bytes_count - MM_COMMAND_TAG_BYTES;
    const uint8_t *right = genuine->bytes + genuine->bytes_count - MM_COMMAND_TAG_BYTES;
    for (unsigned value = 0; value <= UINT8_MAX; value++) {
        memset(tag, (int)value, MM_COMMAND_TAG_BYTES);
        try_forgery(forged.bytes, forged.bytes_count);
        for (size_t kept = 1; kept < MM_COMMAND_TAG_BYTES; kept++) { // so many bytes are right
            if (right[kept] != value) {
                memcpy(tag, right, kept);
                memset(tag + kept, (int)value, MM_COMMAND_TAG_BYTES - kept);
                try_forgery(forged.bytes, forged.bytes_count);
            }
        }
    }
    static const char *const prefixes[] = {"", "meshmeter command", "meshmeter command 2", "meshmeter token 1", "m"};
    for (size_t index = 0; index < sizeof prefixes / sizeof prefixes[0]; index++) {
        tag_with(&s_device, prefixes[index], forged.bytes, forged.bytes_count);
        try_forgery(forged.bytes, forged.bytes_count);
    }
    mm_random_t random = mm_random(77 + at->command);
    for (unsigned turn = 0; turn < RANDOM_TAGS; turn++) {
        for (size_t index = 0; index < MM_COMMAND_TAG_BYTES; index++) {
            tag[index] = (uint8_t)mm_random_u32(&random);
        }
        try_forgery(forged.bytes, forged.bytes_count);
    }
}

// Commands for another device under its key: as they are, readdressed, and with each bit of the address turned. And
// those of this device, readdressed to the other one.
static void cross_targets(const void *parameter) {
    const case_t *at = parameter;
    sealed_t forged = s_genuine[at->command];
    memcpy(forged.bytes, s_other.bytes, sizeof s_other.bytes);
    try_forgery(forged.bytes, forged.bytes_count);
    tag_with(&s_other_device, PREFIX, forged.bytes, forged.bytes_count);
    try_forgery(forged.bytes, forged.bytes_count);
    memcpy(forged.bytes, s_target.bytes, sizeof s_target.bytes);
    try_forgery(forged.bytes, forged.bytes_count);
    for (size_t bit = 0; bit < 8 * sizeof s_other.bytes; bit++) {
        memcpy(forged.bytes, s_target.bytes, sizeof s_target.bytes);
        forged.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        tag_with(&s_other_device, PREFIX, forged.bytes, forged.bytes_count);
        try_forgery(forged.bytes, forged.bytes_count);
        memcpy(forged.bytes, s_target.bytes, sizeof s_target.bytes);
        try_forgery(forged.bytes, forged.bytes_count);
    }
}

// Seeded: some fields get other values, the tag stays.
static void mutate(const void *parameter) {
    const case_t *at = parameter;
    mm_random_t random = mm_random((uint32_t)(1000003 * at->command + at->place));
    for (unsigned turn = 0; turn < MUTATIONS_IN_A_CASE; turn++) {
        sealed_t forged = s_genuine[at->command];
        uint32_t changes = 1 + mm_random_below(&random, 6);
        for (uint32_t change = 0; change < changes; change++) {
            // Behind the address, so that most of them reach the tag.
            size_t place = 6 + mm_random_below(&random, (uint32_t)forged.bytes_count - 6);
            forged.bytes[place] = (uint8_t)mm_random_u32(&random);
        }
        forged.bytes[27] = (uint8_t)(1 + mm_random_below(&random, MM_COMMAND_KIND_COUNT - 1));
        forged.bytes[28] = (uint8_t)mm_random_below(&random, MM_CHANNELS);
        forged.bytes[29] = s_genuine[at->command].bytes[29];
        try_forgery(forged.bytes, forged.bytes_count);
    }
}

static void run_each(const char *way, size_t command, size_t place_count, void (*run)(const void *parameter)) {
    for (size_t place = 0; place < place_count; place++) {
        if (enumeration_takes("%s:%zu:%zu", way, command, place)) {
            case_t at = {.command = command, .place = place};
            enumeration_run(run, &at);
        }
    }
}

int main(int argc, char **argv) {
    enumeration_begin("command_forgeries", argc, argv);
    uint8_t other_key[KEY_BYTES];
    for (size_t index = 0; index < KEY_BYTES; index++) {
        s_target_key[index] = (uint8_t)(17 * index + 5);
        other_key[index] = (uint8_t)(29 * index + 3);
    }
    device_open(&s_device, s_target_key);
    device_open(&s_other_device, other_key);
    make_genuine();
    for (size_t command = 0; command < s_genuine_count; command++) {
        run_each("bits", command, s_genuine[command].bytes_count * 8, flip_bits);
        run_each("byte", command, s_genuine[command].bytes_count, set_byte);
        run_each("length", command, MM_COMMAND_BYTES_MAX + 8, change_length);
        run_each("splice", command, s_genuine_count, splice);
        run_each("fields", command, s_genuine_count, mix_fields);
        run_each("tag", command, 1, forge_tag);
        run_each("target", command, 1, cross_targets);
        run_each("mutation", command, MUTATIONS / MUTATIONS_IN_A_CASE, mutate);
    }
    run_each("key", 0, KEY_BYTES * 8, seal_with_other_key);
    mbedtls_md_free(&s_device.hmac);
    mbedtls_md_free(&s_other_device.hmac);
    char figures[256];
    snprintf(figures, sizeof figures,
             "forged=%llu undecoded=%llu foreign=%llu tag_wrong=%llu unchanged=%llu accepted=%llu",
             (unsigned long long)s_totals.forged, (unsigned long long)s_totals.undecoded,
             (unsigned long long)s_totals.foreign, (unsigned long long)s_totals.tag_wrong,
             (unsigned long long)s_totals.unchanged, (unsigned long long)s_totals.accepted);
    return enumeration_end(figures);
}
