// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "etalage/core/event_columns.hpp"
#include "etalage/core/event_log.hpp"
#include "etalage/export.hpp"

struct ArrowArrayStream;  // of the Arrow C stream interface

namespace etalage {

/// Reads events from any Arrow C stream of record batches.
///
/// Keys      utf8, large_utf8, utf8_view, any integer, floats whose values are whole; or dictionaries of them
/// Times     timestamp of any unit, with or without zone; date32, date64; ISO-8601 text; numbers with time_unit
/// Values    integers, floats, booleans, text; float32 without nulls in one chunk is not copied, nor are int64
///           milliseconds
/// Takes     the stream: it is released, whether or not reading succeeds
/// Repeats   the same log whatever num_threads is: keys are numbered in order of first appearance
/// Errors    std::invalid_argument (columns, types, bad rows under OnError::kRaise), std::runtime_error with the
///           producer's own message when the stream fails
[[nodiscard]] ETALAGE_EXPORT EventLog read_arrow(ArrowArrayStream* stream, const EventColumns& columns = {});

}  // namespace etalage
