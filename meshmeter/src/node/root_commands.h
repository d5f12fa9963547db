// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ROOT_COMMANDS_H
#define MM_ROOT_COMMANDS_H

#include "meshmeter/command.h"
#include "meshmeter/cursor.h"
#include "meshmeter/port/mqtt.h"
#include "meshmeter/root.h"

/// The root's copy of the retained command batch. Nothing in it is opened but its outside: what a command says is
/// between HQ and its node.

/// A message of the command topic. True: it has commands that were not in the one before. What is refused is counted.
bool mmi_root_commands_take(mm_root_commands_t *self, const mm_mqtt_event_t *event, mm_counters_t *counters);
/// Decode what is kept: true, and *batch borrows from self; false: there is nothing.
bool mmi_root_commands_read(const mm_root_commands_t *self, mm_command_batch_t *batch);
/// The index-th command of this node, as mmi_root_commands_read has them; *bytes borrows from self. Decodes the batch:
/// for who must not have it on the stack.
bool mmi_root_commands_of(const mm_root_commands_t *self, mm_mac_t node, uint8_t index, const uint8_t **bytes,
                          size_t *bytes_count);
/// A message in the original's form (legacy_control.h). True: it is another one than before. control is the root's own,
/// or NULL; it says whether the form is taken at this site. What is refused is counted.
bool mmi_root_commands_take_legacy(mm_root_commands_t *self, const mm_mqtt_event_t *event, const mm_control_t *control,
                                   mm_counters_t *counters);
/// What is kept is a message in the original's form: control has who reads it.
bool mmi_root_commands_are_legacy(const mm_root_commands_t *self);
/// The role or the database is gone: nothing is known any more.
void mmi_root_commands_forget(mm_root_commands_t *self);
/// The broker has granted the subscription of this session.
void mmi_root_commands_subscribed(mm_root_commands_t *self);
/// A session is over: who was not asked in it is asked in the next live round. clean: had there been a batch at the
/// broker, it would have come.
void mmi_root_commands_end_session(mm_root_commands_t *self, bool clean);
/// Nodes in the mesh with news, in the order of their commands, at most `capacity`; they count as asked from now on. So
/// does who is not in the mesh: the next live round after he came back brings it.
uint8_t mmi_root_commands_select_news(mm_root_commands_t *self, mm_cursor_table_t *cursors, mm_mac_t *nodes,
                                      uint8_t capacity);

#endif
