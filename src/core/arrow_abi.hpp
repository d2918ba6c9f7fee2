// SPDX-License-Identifier: Apache-2.0
// The structures of the Arrow C data and stream interfaces, as published by the specification; the guards are the
// specification's own, so that a host which defines them too is not in the way.
#pragma once

#include <cstdint>

#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

extern "C" {
/// A column's type, as the Arrow C data interface lays it out.
struct ArrowSchema {
  const char* format;  ///< type of the column, in Arrow's letters
  const char* name;  ///< of the column; may be null
  const char* metadata;  ///< of the column, in Arrow's binary form; may be null
  std::int64_t flags;  ///< ARROW_FLAG_*
  std::int64_t n_children;  ///< entries of children
  struct ArrowSchema** children;  ///< of nested types
  struct ArrowSchema* dictionary;  ///< values of a dictionary-encoded column; null for others
  void (*release)(struct ArrowSchema*);  ///< frees what it holds; null once released
  void* private_data;  ///< of whoever made it
};

/// A column's buffers, as the Arrow C data interface lays them out.
struct ArrowArray {
  std::int64_t length;  ///< rows
  std::int64_t null_count;  ///< nulls among them; -1 not counted
  std::int64_t offset;  ///< first row in the buffers
  std::int64_t n_buffers;  ///< entries of buffers
  std::int64_t n_children;  ///< entries of children
  const void** buffers;  ///< validity, offsets, values, by the type
  struct ArrowArray** children;  ///< of nested types
  struct ArrowArray* dictionary;  ///< values of a dictionary-encoded column; null for others
  void (*release)(struct ArrowArray*);  ///< frees what it holds; null once released
  void* private_data;  ///< of whoever made it
};
}

#endif  // ARROW_C_DATA_INTERFACE

#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE

extern "C" {
/// Record batches one after the other, as the Arrow C stream interface lays them out.
struct ArrowArrayStream {
  int (*get_schema)(struct ArrowArrayStream*, struct ArrowSchema* out);  ///< 0, or an errno
  int (*get_next)(struct ArrowArrayStream*, struct ArrowArray* out);  ///< 0, or an errno; a released array is the end
  const char* (*get_last_error)(struct ArrowArrayStream*);  ///< of the last call that failed; may be null
  void (*release)(struct ArrowArrayStream*);  ///< frees what it holds; null once released
  void* private_data;  ///< of whoever made it
};
}

#endif  // ARROW_C_STREAM_INTERFACE
