target_sources(etalage PRIVATE
  src/core/csr_matrix.cpp
  src/core/id_map.cpp
  src/core/interactions.cpp
  src/core/item_filter.cpp
  src/core/sequences.cpp
  src/core/state.cpp)
