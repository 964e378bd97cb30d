"""Messages among sensors and neighbouring cells."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mm_fusion.network.fusion.contract import FusionOperator, where_any
from mm_fusion.network.fusion.masking import each, normalised, pointwise, selected, shares
from mm_fusion.network.fusion.neighbours import AROUND, seen_from

LARGEST_NODE = 8.0
"""Features of nodes are held within this."""


class GraphFusion(FusionOperator):
    """fused = sum_s r_s x_s + W sum_s r_s relu(A h_s + M m_s), m_s = sum_(t,o) e_s,t,o h_t,o.

    Nodes are sensors at cells, h_s = U_s x_s (B, D, X, Y). Edges run to each node from all sensors t at its
    cell and the eight around it, o; e = softmax over (t, o) of leaky(a_s . h_s + b_t . h_t,o + c_s,t,o), only
    over nodes that are present. r: softmax of learned logits over the sensors present. Source: Velickovic et
    al. (2018), Graph Attention Networks. Different here: edges are those of a grid, so that shifted maps take
    the place of an edge list; c tells kind and direction of an edge, which lets it undo a constant shift of a
    sensor. Weights: mean of r and of the share of messages that each sensor sends, over those present in the
    cell.
    """

    def __init__(self, sensors: int, channels: int, width: int = 16) -> None:
        super().__init__()
        self.nodes = pointwise(sensors, channels, width)
        self.send, self.receive = pointwise(sensors, width, 1), pointwise(sensors, width, 1)
        self.edge = nn.Parameter(torch.zeros(len(AROUND), sensors, sensors, 1, 1, 1, 1))
        self.keep, self.message = nn.Conv2d(width, width, 1), nn.Conv2d(width, width, 1, bias=False)
        self.logits = nn.Parameter(torch.zeros(sensors, 1, 1, 1, 1))
        self.out = nn.Conv2d(width, channels, 1)

    def forward(self, features: Tensor, available: Tensor) -> tuple[Tensor, Tensor]:
        """Fused (B, C, X, Y) and weights (S, B, 1, X, Y) of features (S, B, C, X, Y)."""
        chosen = selected(features, available)
        own = shares(self.logits.to(features.dtype), available)
        nodes = selected(each(self.nodes, chosen), available).clamp(-LARGEST_NODE, LARGEST_NODE)
        edges = self._edges(nodes, available)  # (9, S senders, S receivers, B, 1, X, Y)
        messages = self._messages(edges, nodes)
        updated = [torch.relu(self.keep(h) + self.message(m)) for h, m in zip(nodes, messages)]
        joined = (own * torch.stack(updated)).sum(0)
        fused = (own * chosen).sum(0) + self.out(joined)
        sent = (edges.sum(0) * own).sum(1)
        return where_any(fused, available), normalised(sent + own, available)

    def _edges(self, nodes: Tensor, available: Tensor) -> Tensor:
        received = each(self.receive, nodes)  # (S receivers, B, 1, X, Y)
        scores = []
        for sent, bias in zip(seen_from(each(self.send, nodes)), self.edge):
            score = sent.unsqueeze(1) + received + bias
            scores.append(torch.maximum(score, 0.2 * score))
        present = torch.cat(seen_from((available > 0).to(nodes.dtype))).unsqueeze(1)
        return shares(torch.cat(scores), present).unflatten(0, (len(AROUND), -1))

    @staticmethod
    def _messages(edges: Tensor, nodes: Tensor) -> Tensor:
        """Messages (S, B, D, X, Y) that each node receives."""
        parts = [(edge * beside.unsqueeze(1)).sum(0) for edge, beside in zip(edges, seen_from(nodes))]
        return torch.stack(parts).sum(0)
