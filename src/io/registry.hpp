// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string_view>

#include "etalage/io/serialization.hpp"

namespace etalage::io {

/// The factory of a kind; null for an unknown one.
ModelFactory find_model(std::string_view kind);
IndexFactory find_index(std::string_view kind);

/// std::invalid_argument unless the kind is registered: what is written must be readable.
void require_model_kind(std::string_view kind);
void require_index_kind(std::string_view kind);

}  // namespace etalage::io
