etalage_test(models/factor_model_test.cpp LABELS threaded)
etalage_test(models/item_similarity_test.cpp)
etalage_test(models/popularity_test.cpp)
etalage_test(models/vectors_test.cpp)
