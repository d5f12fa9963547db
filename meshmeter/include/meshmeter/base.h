// SPDX-License-Identifier: Apache-2.0
#ifndef MM_BASE_H
#define MM_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// The few types and rules that every module shares.
///
/// Three kinds of failure, three answers:
///  - a programmer's error asserts (MM_ASSERT, never compiled out);
///  - an operating error that the caller can act on is returned as mm_err_t;
///  - everything else increments a named counter (counters.h) that HQ can see.

/// Monotonic time in microseconds since some instant of this boot. Never negative, never steps back.
typedef int64_t mm_us_t;

#define MM_US_PER_S ((mm_us_t)1000000)
/// "No deadline": later than every time that occurs.
#define MM_US_NEVER INT64_MAX

/// `seconds` after an instant.
mm_us_t mm_us_after_s(mm_us_t instant, uint32_t seconds);
/// Whole seconds of a duration or a wall time, rounded towards zero.
int64_t mm_us_whole_s(int64_t us);
/// The earlier of two instants.
mm_us_t mm_us_earlier(mm_us_t left, mm_us_t right);
/// Whole seconds from now until an instant, rounded up, for people who wait; 0 if it has passed.
uint32_t mm_us_seconds_until(mm_us_t instant, mm_us_t now);

/// Wall time in microseconds since 1970-01-01T00:00:00Z. A struct, so that it cannot be mixed with mm_us_t.
typedef struct {
    int64_t us;
} mm_utc_t;

/// How good a wall time is. Ordered: a higher value is better.
typedef enum {
    MM_TRUST_UNSET = 0,  ///< no source since boot; the label is uptime, not wall time
    MM_TRUST_HELD = 1,   ///< was synchronised in this boot, last synchronisation is older than the limit
    MM_TRUST_SYNCED = 2, ///< synchronised recently
} mm_trust_t;

/// Result of operations that can fail while nobody made a mistake. Zero is success.
typedef enum {
    MM_OK = 0,
    MM_ERR_ARG = -1,         ///< value from outside is out of range; nothing done
    MM_ERR_FULL = -2,        ///< no room; nothing done
    MM_ERR_NOT_FOUND = -3,   ///< no such thing
    MM_ERR_CORRUPT = -4,     ///< bytes fail their checksum or their bounds
    MM_ERR_VERSION = -5,     ///< well formed, but of a version this code does not know
    MM_ERR_STORAGE = -6,     ///< flash, FRAM or file refused
    MM_ERR_BUSY = -7,        ///< not now; the deadline says when
    MM_ERR_UNAVAILABLE = -8, ///< the link or service is down
    MM_ERR_STATE = -9,       ///< not legal in this state; nothing done
} mm_err_t;

/// Short English name of an error, for messages. Never NULL.
const char *mm_err_name(mm_err_t err);

/// names[value]; "unknown" beyond them, as of a later version. names is an array.
const char *mm_name_of(const char *const *names, size_t count, size_t value);
#define MM_NAME_OF(names, value) mm_name_of(names, sizeof(names) / sizeof((names)[0]), value)

#define MM_MAC_BYTES 6u
/// Hardware address of a node: 6 bytes, transmitted in this order. Aligned, so that it is copied as two words: by bytes
/// each copy costs 40 bytes of code.
typedef struct {
    _Alignas(uint32_t) uint8_t bytes[MM_MAC_BYTES];
} mm_mac_t;

bool mm_mac_equal(mm_mac_t left, mm_mac_t right);
/// Total order (memcmp). Negative, zero, positive.
int mm_mac_compare(mm_mac_t left, mm_mac_t right);
bool mm_mac_is_zero(mm_mac_t mac);

/// Position in a node's journal. Records of one epoch are numbered 1, 2, 3 … without holes; a new epoch
/// begins when the journal had to start over. seq 0 means "before the first record of this epoch".
typedef struct {
    uint32_t epoch;
    uint32_t seq;
} mm_position_t;

/// Lexicographic order. Negative, zero, positive.
int mm_position_compare(mm_position_t left, mm_position_t right);

/// A function that is never put into its caller: what it keeps on the stack must not lie there while the caller calls
/// something deep, or it is short in C and long in code, and has many callers.
#ifdef __GNUC__
#define MM_APART __attribute__((noinline))
#else
#define MM_APART
#endif

/// Called when an assertion fails; must not return. The port supplies it (Linux: message and abort;
/// ESP32: crash record and reset). Weakly defined nowhere: a program without it does not link.
/// place: "file.c:line". No more, because each assertion costs flash: the source has the expression.
_Noreturn void mm_assert_failed(const char *place);

#define MM_TEXT_OF(number) #number
/// Where this is, as one literal, without the path of the build.
#define MM_PLACE(line) __FILE_NAME__ ":" MM_TEXT_OF(line)
/// A programmer's error. Stays on in released firmware.
#define MM_ASSERT(expression) ((expression) ? (void)0 : mm_assert_failed(MM_PLACE(__LINE__)))

#endif
