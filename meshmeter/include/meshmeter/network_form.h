// SPDX-License-Identifier: Apache-2.0
#ifndef MM_NETWORK_FORM_H
#define MM_NETWORK_FORM_H

#include "meshmeter/configuration.h"
#include "meshmeter/form.h"

/// A network as a provisioner (cable, phone) hands it over: fields of a form (form.h).
///
///   site, broker_url              required
///   broker_user, broker_password  absent or empty: none
///   router_name, router_password  absent or empty: none (wired, or the operating system's)
///   revision                      1 … 4,294,967,295
///   mesh_key                      64 hex digits
///
/// Other fields are passed over. Each text is as long as configuration.h says and plain (text.h); an address that is a
/// script's is refused by whoever knows what addresses there are, and the whole by mm_network_check.

/// Name of the first field that is absent, twice there or wrong; *network is then all zeros, so that no part of a
/// secret stays. NULL: *network is what the form says.
const char *mm_network_form_read(const mm_form_t *form, mm_network_t *network);

#endif
