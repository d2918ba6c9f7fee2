// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "etalage/export.hpp"

namespace etalage {

/// An item of a model, by its index, with a score.
struct ItemScore {
  std::int32_t item;  ///< row of the fitted model
  float score;        ///< larger is better; of one model and query alone
};

/// Working memory of one thread. Grows on first use and is reused: once warm, queries of the same kind allocate nothing.
class ETALAGE_EXPORT Scratch {
 public:
  Scratch();
  ~Scratch();
  Scratch(Scratch&&) noexcept;
  Scratch& operator=(Scratch&&) noexcept;
  struct Impl;
  [[nodiscard]] Impl& impl() noexcept { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace etalage
