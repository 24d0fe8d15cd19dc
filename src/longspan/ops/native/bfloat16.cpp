// The forward walk with products in bfloat16, compiled for processors that have an instruction for them.
#include "bfloat16.h"

namespace LONGSPAN_ISA {

void forward_rounded(longspan::Cell cell, const longspan::Forward<float>* directions, int count);
void forward_rounded(longspan::Cell cell, const longspan::Forward<float>* directions, int count) {
  switch (cell) {
    case longspan::Cell::lstm: return forward<float, Lstm, Rounded>(directions, count);
    case longspan::Cell::gru: return forward<float, Gru, Rounded>(directions, count);
    case longspan::Cell::rnn_tanh: return forward<float, RnnTanh, Rounded>(directions, count);
    case longspan::Cell::rnn_relu: return forward<float, RnnRelu, Rounded>(directions, count);
  }
}

}  // namespace LONGSPAN_ISA
