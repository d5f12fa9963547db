// SPDX-License-Identifier: Apache-2.0
#ifndef MM_TARIFFS_H
#define MM_TARIFFS_H

#include "desk.h"
#include "tariff.h"

/// The tariffs and the settings of sites, as HQ keeps them. Both are appended to: what was sold keeps the tariff that
/// it was sold by. A site without a setting, or with one that names no tariff, has the tariff "default" if there is
/// one.

#define MM_TARIFF_DEFAULT "default"

/// A new tariff, or a new version of it. The same request again changes nothing; CONFLICT: with other content.
mm_desk_result_t mm_tariffs_put(mm_desk_t *desk, const char *request, const mm_tariff_t *tariff,
                                const char *operator_name, int64_t now_us, bool *repeated, mm_hq_error_t *error);
/// The newest of each name.
typedef bool (*mm_tariff_visit_fn)(void *context, const mm_tariff_t *tariff);
mm_desk_result_t mm_tariffs_list(mm_desk_t *desk, mm_tariff_visit_fn visit, void *context, mm_hq_error_t *error);

typedef struct {
    /// 1 … MM_VENDING_UNIT_WH_MAX; must be what the site's nodes are configured with. 0 with a rule that is not -1:
    /// unit and tariff as before.
    int64_t token_unit_wh;
    char tariff[MM_TARIFF_NAME_CHARS_MAX + 1]; ///< "" = the default one
    /// Installations without anything unclear are confirmed by HQ itself (installations.h): 0 no, 1 yes, -1 as before.
    int auto_confirm;
    /// Devices that have proved their key, and are in no conflict, are admitted by HQ itself (joins.h): the same.
    int auto_join;
} mm_site_settings_t;

/// NOT_FOUND: no such site or tariff. CONFLICT as above.
mm_desk_result_t mm_site_settings_put(mm_desk_t *desk, const char *request, const char *site,
                                      const mm_site_settings_t *settings, const char *operator_name, int64_t now_us,
                                      bool *repeated, mm_hq_error_t *error);

#endif
