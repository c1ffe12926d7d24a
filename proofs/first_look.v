From Coq Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Book Require Import common smooth_max.
Open Scope R_scope.
Set Bullet Behavior "Strict Subproofs".

(** claim softmax-base. With the base b > 1 the weights of the keys K are those of softmax for the query (ln b) q. *)
Theorem other_base d n b K q i : 1 < b ->
  Rpower b (dot d (K i) q) / Sum n (fun j => Rpower b (dot d (K j) q)) = weight d n K (fun l => ln b * q l) i.
Proof.
  intro Hb. unfold weight, softmax, Rpower. rewrite dot_scal_r, (Rmult_comm (ln b)).
  rewrite (Sum_ext n (fun j => exp (dot d (K j) (fun l => ln b * q l))) (fun j => exp (dot d (K j) q * ln b))); [reflexivity|].
  intros. rewrite dot_scal_r, Rmult_comm. reflexivity.
Qed.
(** claim mean-of-values. The output lies strictly between the least value and the largest, unless all are equal. *)
Theorem output_between n z v lo hi i j : (forall k, (k < n)%nat -> lo <= v k <= hi) ->
  (i < n)%nat -> (j < n)%nat -> v i < hi -> lo < v j -> lo < Mean n (softmax n z) v < hi.
Proof.
  intros B Hi Hj Li Lj. destruct (softmax_law n z ltac:(lia)) as [_ E].
  pose proof (fun k => softmax_pos n z k ltac:(lia)) as P. split.
  - apply Rle_lt_trans with (Sum n (fun k => softmax n z k * lo)); [rewrite Sum_scal_r, E; lra|].
    apply (Sum_lt n _ _ j Hj); [|apply Rmult_lt_compat_l; [apply P|exact Lj]].
    intros k Hk. apply Rmult_le_compat_l; [apply Rlt_le, P|apply B, Hk].
  - apply Rlt_le_trans with (Sum n (fun k => softmax n z k * hi)); [|rewrite Sum_scal_r, E; lra].
    apply (Sum_lt n _ _ i Hi); [|apply Rmult_lt_compat_l; [apply P|exact Li]].
    intros k Hk. apply Rmult_le_compat_l; [apply Rlt_le, P|apply B, Hk].
Qed.
(** claim mean-of-values. Every weight is positive. *)
Theorem positive_weights n z i : (0 < n)%nat -> 0 < softmax n z i.
Proof. apply softmax_pos. Qed.
(** claim mean-of-values. Scores and values shuffled alike leave the output as it is; tau undoes sigma. *)
Theorem output_shuffled n sigma tau z v : (forall i, (i < n)%nat -> (sigma i < n)%nat /\ tau (sigma i) = i) ->
  (forall j, (j < n)%nat -> (tau j < n)%nat /\ sigma (tau j) = j) ->
  Mean n (softmax n (fun i => z (sigma i))) (fun i => v (sigma i)) = Mean n (softmax n z) v.
Proof.
  intros S T. unfold Mean, softmax. rewrite (Sum_shuffled n sigma tau (fun i => exp (z i)) S T).
  exact (Sum_shuffled n sigma tau (fun i => exp (z i) / Sum n (fun j => exp (z j)) * v i) S T).
Qed.
(** claim key-in-the-middle. If the score of key n is the mean of those of the n others under the law p, as
    for a key that is this mean, it gets at most 1 / (1 + exp(H(p))). *)
Theorem key_in_the_middle n z p : Law n p -> z n = Mean n p z -> softmax (S n) z n <= 1 / (1 + exp (Ent n p)).
Proof.
  intros L E. pose proof (Law_n _ _ L) as Hn. pose proof (Z_pos n z Hn) as Z.
  pose proof (LSE_gibbs n 1 z p Rlt_0_1 L) as G. unfold LSE in G.
  rewrite (Sum_ext n (fun i => exp (1 * z i)) (fun i => exp (z i))) in G by (intros; rewrite Rmult_1_l; reflexivity).
  rewrite Rinv_1, Rmult_1_l, <- E in G. replace (Ent n p / 1) with (Ent n p) in G by field.
  assert (Q : exp (z n) * exp (Ent n p) <= Sum n (fun i => exp (z i))).
  { rewrite <- exp_plus, <- (exp_ln _ Z). destruct G as [G|G]; [apply Rlt_le, exp_increasing, G|rewrite G; lra]. }
  unfold softmax. simpl Sum. set (s := Sum n _) in *. pose proof (exp_pos (z n)). pose proof (exp_pos (Ent n p)).
  apply Rmult_le_reg_r with ((s + exp (z n)) * (1 + exp (Ent n p))); [nra|].
  replace (exp (z n) / (s + exp (z n)) * ((s + exp (z n)) * (1 + exp (Ent n p)))) with (exp (z n) + exp (z n) * exp (Ent n p)) by (field; lra).
  replace (1 / (1 + exp (Ent n p)) * ((s + exp (z n)) * (1 + exp (Ent n p)))) with (s + exp (z n)) by (field; lra). lra.
Qed.
(** claim key-in-the-middle. With equality if and only if the others are scored ln p_i, up to a constant. *)
Theorem key_in_the_middle_equality n z p : Law n p -> z n = Mean n p z ->
  softmax (S n) z n = 1 / (1 + exp (Ent n p)) <-> forall i, (i < n)%nat -> p i = softmax n z i.
Proof.
  intros L E. pose proof (Law_n _ _ L) as Hn. pose proof (Z_pos n z Hn) as Z.
  pose proof (LSE_gibbs_equality n 1 z p Rlt_0_1 L) as G. unfold LSE, sharp in G.
  rewrite (Sum_ext n (fun i => exp (1 * z i)) (fun i => exp (z i))) in G by (intros; rewrite Rmult_1_l; reflexivity).
  rewrite Rinv_1, Rmult_1_l, <- E in G. replace (Ent n p / 1) with (Ent n p) in G by field.
  assert (X : forall i, softmax n (fun i => 1 * z i) i = softmax n z i) by (intro; apply softmax_ext; intro; ring).
  assert (G' : z n + Ent n p = ln (Sum n (fun i => exp (z i))) <-> forall i, (i < n)%nat -> p i = softmax n z i).
  { rewrite G. split; intros H i Hi; [rewrite <- X|rewrite X]; apply H, Hi. }
  rewrite <- G'. unfold softmax. simpl Sum. set (s := Sum n _) in *. pose proof (exp_pos (z n)). pose proof (exp_pos (Ent n p)).
  assert (Q : s = exp (z n) * exp (Ent n p) <-> z n + Ent n p = ln s).
  { rewrite <- exp_plus. split; intro H1; [rewrite H1, ln_exp; reflexivity|rewrite H1, exp_ln; [reflexivity|exact Z]]. }
  rewrite <- Q. split; intro H1.
  - apply Rmult_eq_compat_r with (r := (s + exp (z n)) * (1 + exp (Ent n p))) in H1.
    replace (exp (z n) / (s + exp (z n)) * ((s + exp (z n)) * (1 + exp (Ent n p)))) with (exp (z n) + exp (z n) * exp (Ent n p)) in H1 by (field; lra).
    replace (1 / (1 + exp (Ent n p)) * ((s + exp (z n)) * (1 + exp (Ent n p)))) with (s + exp (z n)) in H1 by (field; lra). lra.
  - rewrite H1. field. split; nra.
Qed.
(** claim key-in-the-middle. For the plain mean of m others this is 1 / (m + 1). *)
Theorem plain_middle m z : (0 < m)%nat -> z m = Sum m z / INR m -> softmax (S m) z m <= 1 / (INR m + 1).
Proof.
  intros Hm E. assert (P : 0 < INR m) by (apply lt_0_INR; exact Hm).
  assert (L : Law m (fun _ => / INR m)).
  { split; [intros; apply Rlt_le, Rinv_0_lt_compat, P|]. rewrite Sum_const. field. lra. }
  pose proof (key_in_the_middle m z _ L) as Q. unfold Mean, Ent in Q.
  rewrite Sum_scal, Sum_const, ln_Rinv in Q by exact P. replace (- (INR m * (/ INR m * - ln (INR m)))) with (ln (INR m)) in Q by (field; lra).
  rewrite exp_ln, (Rplus_comm 1) in Q by exact P. apply Q. rewrite E. field. lra.
Qed.
