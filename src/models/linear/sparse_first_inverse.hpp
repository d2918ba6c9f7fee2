// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>

namespace etalage {

/// As negated_inverse(), for a matrix with many zeros. Rows are eliminated one after another, the one with the fewest
/// entries first, while that stays cheap; the dense rest (Schur complement) S is inverted by blocks; the eliminated rows
/// of the inverse P follow from it, last first:
///   A = L D L^T,  P_kk = 1 / d_k - sum_{j > k} l_jk P_jk,   P_kt = -sum_{j > k} l_jk P_jt for t after k,  P_SS = S^-1
/// Cost       |S|^3 + 2 nnz(L) n flops; a Gram matrix of 8 thousand items with 3 % of entries keeps |S|^3 = 0.5 n^3
/// Memory     n^2 / 8 bytes, nnz(L) entries, 32 n floats a thread
/// Repeats    bit-identical for any num_threads
/// after(done) as there; when it ends the work, rows and columns that were not reached are zero.
/// Source     minimum degree: Tinney, Walker 1967; the recursion: Takahashi, Fagan, Chin 1973
bool sparse_first_inverse(float* a, std::size_t n, std::size_t ld, int num_threads, const std::function<bool(std::size_t done)>& after = {});

}  // namespace etalage
