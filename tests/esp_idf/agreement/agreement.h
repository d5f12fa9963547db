// SPDX-License-Identifier: Apache-2.0
#ifndef MM_TEST_AGREEMENT_H
#define MM_TEST_AGREEMENT_H

/// What tools/check-esp-idf cannot read out of tests/esp_idf/sdk by itself: members of structs, and types. Only
/// compiled with the real headers; each file includes them, then says what ours say.

/// The member is there, and of this type.
#define MM_MEMBER(type, member, member_type)                                                                           \
    _Static_assert(__builtin_types_compatible_p(__typeof__(((type *)0)->member), member_type), #type "." #member)
/// Two names of one type.
#define MM_TYPE(type, other) _Static_assert(__builtin_types_compatible_p(type, other), #type)

#endif
