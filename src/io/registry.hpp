// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "etalage/io/serialization.hpp"

namespace etalage::io {

/// The factory of a kind; null for an unknown one.
ModelFactory find_model(std::string_view kind);
IndexFactory find_index(std::string_view kind);

/// FormatError for a kind whose bytes FAISS reads, unless the caller trusts them.
void require_trusted(std::string_view kind, bool trust_faiss, const std::string& label);

/// std::invalid_argument unless the kind is registered: what is written must be readable.
void require_model_kind(std::string_view kind);
void require_index_kind(std::string_view kind);

}  // namespace etalage::io
