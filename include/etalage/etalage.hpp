// SPDX-License-Identifier: Apache-2.0
// Everything, for those who do not mind. Each header also stands alone.
#pragma once

#include "etalage/build_info.hpp"
#include "etalage/core/array.hpp"
#include "etalage/core/csr_matrix.hpp"
#include "etalage/core/event_log.hpp"
#include "etalage/core/id_map.hpp"
#include "etalage/core/interactions.hpp"
#include "etalage/core/item_filter.hpp"
#include "etalage/core/matrix_view.hpp"
#include "etalage/core/progress.hpp"
#include "etalage/core/sequences.hpp"
#include "etalage/core/state.hpp"
#include "etalage/datasets/synthetic_store.hpp"
#include "etalage/error.hpp"
#include "etalage/io/serialization.hpp"
#include "etalage/io/state_file.hpp"
#include "etalage/models/batch.hpp"
#include "etalage/models/factor_model.hpp"
#include "etalage/models/popularity.hpp"
#include "etalage/models/recommender.hpp"
#include "etalage/version.hpp"
