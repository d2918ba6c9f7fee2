target_sources(etalage PRIVATE
  src/retrieval/access_gate.cpp
  src/retrieval/fork_safety.cpp
  src/retrieval/graph/graph_linker.cpp
  src/retrieval/graph/hnsw_graph.cpp
  src/retrieval/id_table.cpp
  src/retrieval/item_index.cpp
  src/retrieval/item_index_batch.cpp
  src/retrieval/item_index_few.cpp
  src/retrieval/item_index_lists.cpp
  src/retrieval/item_index_search.cpp
  src/retrieval/item_index_state.cpp
  src/retrieval/item_index_tuning.cpp
  src/retrieval/item_store.cpp
  src/retrieval/lists/ivf_pq.cpp
  src/retrieval/lists/kmeans.cpp
  src/retrieval/graph/link_choice.cpp
  src/retrieval/lists/norm_tiers.cpp)
