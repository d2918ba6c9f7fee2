target_sources(etalage PRIVATE
  src/core/arrow_reader.cpp
  src/core/catalog.cpp
  src/core/convert.cpp
  src/core/csr_matrix.cpp
  src/core/event_builder.cpp
  src/core/event_interactions.cpp
  src/core/event_log.cpp
  src/core/event_weights.cpp
  src/core/id_map.cpp
  src/core/interactions.cpp
  src/core/intern.cpp
  src/core/item_filter.cpp
  src/core/sequences.cpp
  src/core/sha256.cpp
  src/core/slot.cpp
  src/core/state.cpp
  src/core/time_text.cpp)
