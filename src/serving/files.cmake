# SPDX-License-Identifier: Apache-2.0
target_sources(etalage PRIVATE
  src/serving/event_store.cpp
  src/serving/growing_ids.cpp
  src/serving/journal.cpp
  src/serving/journal_files.cpp
  src/serving/journal_format.cpp
  src/serving/journal_recovery.cpp
  src/serving/live_counters.cpp
  src/serving/live_state.cpp
  src/serving/live_state_records.cpp)
