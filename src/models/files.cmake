target_sources(etalage PRIVATE
  src/models/batch.cpp
  src/models/als.cpp
  src/models/als_online.cpp
  src/models/als_solver.cpp
  src/models/als_steps.cpp
  src/models/auto_settings.cpp
  src/models/factor_model.cpp
  src/models/popularity.cpp
  src/models/popularity_log.cpp
  src/models/recommender.cpp
  src/models/top_k.cpp
  src/models/row_patches.cpp
  src/models/training_data.cpp
  src/models/vectors.cpp)
target_sources(etalage PRIVATE
  src/models/graph_filter.cpp
  src/models/graph_filter_options.cpp
  src/models/graph_filter_query.cpp
  src/models/randomized_svd.cpp)
target_sources(etalage PRIVATE
  src/models/directed_items.cpp
  src/models/linear_sequence.cpp
  src/models/repeat_purchase.cpp
  src/models/sequence_model.cpp
  src/models/sequential_rules.cpp
  src/models/session_knn.cpp
  src/models/transitions.cpp)
target_sources(etalage PRIVATE src/models/blend.cpp src/models/blend_weights.cpp)
target_sources(etalage PRIVATE
  src/models/learned_ranker.cpp
  src/models/learned_ranker_lists.cpp
  src/models/linear_ranker.cpp
  src/models/ranking_features.cpp)

# Neighbours and walks.
target_sources(etalage PRIVATE
  src/models/item_knn.cpp
  src/models/item_similarity.cpp
  src/models/random_walk.cpp
  src/models/similarity.cpp
  src/models/sparse_product.cpp
  src/models/user_knn.cpp)

# Linear item-item models.
target_sources(etalage PRIVATE
  src/models/ease.cpp
  src/models/ease_dual.cpp
  src/models/local_gram.cpp
  src/models/slim.cpp
  src/models/sparse_first_inverse.cpp
  src/models/spd_inverse.cpp)

# New products and people.
target_sources(etalage PRIVATE
  src/models/catalog_attributes.cpp
  src/models/cold_start.cpp
  src/models/cold_start_choice.cpp
  src/models/cold_start_items.cpp
  src/models/exploration_slot.cpp)
# Stochastic gradient descent.
target_sources(etalage PRIVATE
  src/models/block_schedule.cpp
  src/models/bpr.cpp
  src/models/item2vec.cpp
  src/models/pairwise_model.cpp
  src/models/pairwise_sgd.cpp
  src/models/skip_gram.cpp
  src/models/warp.cpp)

# Alternating least squares with features.
target_sources(etalage PRIVATE src/models/feature_als.cpp src/models/feature_regression.cpp)
# Eigen's own checks end in abort(), which a guest must not call whatever the host's flags are.
set_source_files_properties(src/models/cold_start.cpp src/models/linear_ranker.cpp src/models/randomized_svd.cpp PROPERTIES COMPILE_DEFINITIONS EIGEN_NO_DEBUG)
