// SPDX-License-Identifier: Apache-2.0
#include "kernels/sgd_kernels.hpp"

#include "kernels/float_vec.hpp"

HWY_BEFORE_NAMESPACE();
namespace etalage::kernels::ETALAGE_SIMD_NAMESPACE {
namespace {

static_assert(kSgdPad % kLanes == 0);

HWY_INLINE float sum(V v) { return hn::GetLane(hn::SumOfLanes(d, v)); }

float dot(const float* x, const float* y, std::size_t n) {
  V s = hn::Zero(d);
  for (std::size_t k = 0; k < n; k += kLanes) s = hn::MulAdd(hn::Load(d, x + k), hn::Load(d, y + k), s);
  return sum(s);
}

void dots(const float* x, const float* const* rows, std::size_t count, std::size_t n, float* out) {
  std::size_t r = 0;
  for (; r + 4 <= count; r += 4) {
    V s0 = hn::Zero(d);
    V s1 = hn::Zero(d);
    V s2 = hn::Zero(d);
    V s3 = hn::Zero(d);
    for (std::size_t k = 0; k < n; k += kLanes) {
      const V v = hn::Load(d, x + k);
      s0 = hn::MulAdd(v, hn::Load(d, rows[r] + k), s0);
      s1 = hn::MulAdd(v, hn::Load(d, rows[r + 1] + k), s1);
      s2 = hn::MulAdd(v, hn::Load(d, rows[r + 2] + k), s2);
      s3 = hn::MulAdd(v, hn::Load(d, rows[r + 3] + k), s3);
    }
    HWY_ALIGN float sums[kLanes];
    hn::Store(sum_of_four(s0, s1, s2, s3), d, sums);
    for (std::size_t c = 0; c < 4; ++c) out[r + c] = sums[c];
  }
  for (; r < count; ++r) out[r] = dot(x, rows[r], n);
}

float pair_score(const float* u, const float* i, const float* j, std::size_t n, float* norms) {
  V score = hn::Zero(d);
  V user = hn::Zero(d);
  V items = hn::Zero(d);
  for (std::size_t k = 0; k < n; k += kLanes) {
    const V uk = hn::Load(d, u + k);
    const V difference = hn::Sub(hn::Load(d, i + k), hn::Load(d, j + k));
    score = hn::MulAdd(uk, difference, score);
    user = hn::MulAdd(uk, uk, user);
    items = hn::MulAdd(difference, difference, items);
  }
  HWY_ALIGN float sums[kLanes];
  hn::Store(sum_of_four(score, user, items, items), d, sums);
  norms[0] = sums[1];
  norms[1] = sums[2];
  return sums[0];
}

void pair_update(float* u, float* i, float* j, std::size_t n, const PairStep& s) {
  const V user_keep = hn::Set(d, s.user_keep);
  const V user_step = hn::Set(d, s.user_step);
  const V liked_keep = hn::Set(d, s.liked_keep);
  const V liked_step = hn::Set(d, s.liked_step);
  const V other_keep = hn::Set(d, s.other_keep);
  const V other_step = hn::Set(d, s.other_step);
  for (std::size_t k = 0; k < n; k += kLanes) {
    const V uk = hn::Load(d, u + k);
    const V ik = hn::Load(d, i + k);
    const V jk = hn::Load(d, j + k);
    hn::Store(hn::MulAdd(user_step, hn::Sub(ik, jk), hn::Mul(user_keep, uk)), d, u + k);
    hn::Store(hn::MulAdd(liked_step, uk, hn::Mul(liked_keep, ik)), d, i + k);
    hn::Store(hn::NegMulAdd(other_step, uk, hn::Mul(other_keep, jk)), d, j + k);
  }
}

void attract(float* y, const float* x, float* gathered, std::size_t n, float step) {
  const V steps = hn::Set(d, step);
  for (std::size_t k = 0; k < n; k += kLanes) {
    const V yk = hn::Load(d, y + k);
    hn::Store(hn::MulAdd(steps, yk, hn::Load(d, gathered + k)), d, gathered + k);
    hn::Store(hn::MulAdd(steps, hn::Load(d, x + k), yk), d, y + k);
  }
}

}  // namespace

extern const SgdTable sgd_table;
const SgdTable sgd_table{dot, dots, pair_score, pair_update, attract};

}  // namespace etalage::kernels::ETALAGE_SIMD_NAMESPACE
HWY_AFTER_NAMESPACE();
